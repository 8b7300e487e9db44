"""Fields of a request's JSON object, each taken once; what is left over at the end is refused.

A field that is null counts as not given, as in the protocol.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from engine.errors import kind_of
from engine.serving.refused import Refused, wrong

SEEDS = 1 << 63
MOST_STOPS = 16

WITHOUT_EFFECT = frozenset(
    ("user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")
)
"""Labels for whoever runs a server: no answer depends on them."""

ONLY: Mapping[str, tuple[Any, ...]] = {
    "audio": (),
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "function_call": ("none",),
    "functions": ([],),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "presence_penalty": (0,),
    "reasoning_effort": (),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "verbosity": (),
    "web_search_options": (),
}
"""Parameters of the protocol that this server lacks, and the values that ask nothing of it."""


class Fields:
    """The fields of one JSON object.

    Args:
        within: stands in front of their names in messages.
    """

    def __init__(self, data: Mapping[str, Any], within: str = "") -> None:
        self._data = {key: value for key, value in data.items() if value is not None}
        self._within = within

    def take(self, name: str) -> Any:
        """The value of a field, None where it is not given."""
        return self._data.pop(name, None)

    def where(self, name: str) -> str:
        return f"{self._within}{name}"

    def text(self, name: str) -> str | None:
        value = self.take(name)
        return None if value is None else text(value, self.where(name))

    def flag(self, name: str) -> bool:
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise wrong(self.where(name), f"expected true or false, got {kind_of(value)}")
        return bool(value)

    def whole(self, name: str, lowest: int, highest: int) -> int | None:
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(self.where(name), f"expected a whole number, got {kind_of(value)}")
        if not lowest <= value <= highest:
            raise wrong(self.where(name), f"expected {lowest} to {highest}, got {value:.6g}")
        return value

    def number(self, name: str, lowest: float, highest: float) -> float | None:
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(self.where(name), f"expected a number, got {kind_of(value)}")
        if not math.isfinite(value) or not lowest <= value <= highest:
            raise wrong(self.where(name), f"expected {lowest:g} to {highest:g}, got {value:.6g}")
        return float(value)

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        value = self.take(name)
        if value is not None and not isinstance(value, Mapping):
            raise wrong(self.where(name), f"expected an object, got {kind_of(value)}")
        return value

    def stops(self) -> tuple[str, ...]:
        """The field `stop`: a string, or a list of them."""
        value = self.take("stop")
        given = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(given, list):
            raise wrong("stop", f"expected a string or a list of strings, got {kind_of(value)}")
        if len(given) > MOST_STOPS:
            raise wrong("stop", f"expected at most {MOST_STOPS} strings, got {len(given)}")
        found = tuple(text(each, "stop") for each in given)
        if not all(found):
            raise wrong("stop", "an empty string would stop everything")
        return found

    def finish(self) -> None:
        """Refuses what is left: parameters that have an effect elsewhere and none here."""
        for name, value in self._data.items():
            if name in WITHOUT_EFFECT and not self._within:
                continue
            allowed = ONLY.get(name) if not self._within else None
            if allowed is None:
                raise Refused(
                    400, f"{self.where(name)}: this server knows no such parameter",
                    param=self.where(name), code="unknown_parameter",
                )  # fmt: skip
            if not any(same(value, each) for each in allowed):
                raise wrong(name, "this server does not support it", "unsupported_parameter")


def same(value: Any, other: Any) -> bool:
    """Whether two JSON values are equal; true is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def text(value: Any, where: str) -> str:
    """A string that can be encoded; JSON may hold half a character."""
    if not isinstance(value, str):
        raise wrong(where, f"expected a string, got {kind_of(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise wrong(where, "it holds half of a surrogate pair") from None
    return value
