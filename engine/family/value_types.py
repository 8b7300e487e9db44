"""What a value in a JSON file of a model may be, and how a message says it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Wanted = tuple[Callable[[Any], bool], str]
"""Whether a value that is not null will do, and what it has to be."""

LARGEST = 1 << 40
_FLAGS = ("lstrip", "rstrip", "normalized", "single_word", "special")
_ID = re.compile(r"[0-9]{1,12}")
_DTYPE = re.compile(
    r"(?:torch\.)?(?:auto|float|bfloat16|half|double|float(?:16|32|64)|float8_e\w{3,12})"
)
CACHES = (
    "static", "offloaded_static", "sliding_window", "hybrid", "hybrid_chunked", "offloaded_hybrid",
    "offloaded_hybrid_chunked", "dynamic", "offloaded", "quantized", "paged",
)  # fmt: skip
"""What transformers takes as cache_implementation."""


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def size_to(most: int) -> Wanted:
    """A size, or a list of one for each layer; 0 says that there is none of it."""

    def good(value: Any) -> bool:
        values = value if isinstance(value, list) else [value]
        return all(each is None or (is_whole(each) and 0 <= each <= most) for each in values)

    return good, f"a whole number from 0 to {most:,}"


def are_ids(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(is_whole(each) and abs(each) < LARGEST for each in values)


def are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def is_token(value: Any) -> bool:
    """A text, or an object that transformers makes a token of."""
    if not isinstance(value, Mapping):
        return isinstance(value, str)
    return value.get("__type") == "AddedToken" and describes_token(value)


def describes_token(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("content"), str)
        and all(isinstance(value.get(key, False), bool) for key in _FLAGS)
    )


def are_tokens(value: Any) -> bool:
    """A list of tokens, or tokens by name."""
    values = value.values() if isinstance(value, Mapping) else value
    return isinstance(value, list | Mapping) and all(map(is_token, values))


def by_id(value: Any, good: Callable[[Any], bool]) -> bool:
    return isinstance(value, Mapping) and all(
        _ID.fullmatch(key) and good(each) for key, each in value.items()
    )


def are_templates(value: Any) -> bool:
    if isinstance(value, list):
        return all(
            isinstance(each, Mapping)
            and isinstance(each.get("name"), str)
            and isinstance(each.get("template"), str)
            for each in value
        )
    return isinstance(value, str)


BOOL: Wanted = (lambda value: isinstance(value, bool), "true or false")
TEXT: Wanted = (lambda value: isinstance(value, str), "a string")
OBJECT: Wanted = (lambda value: isinstance(value, dict), "an object")
NUMBER: Wanted = (is_number, "a finite number")
WHOLE: Wanted = (is_whole, "a whole number")
LIST_OF_TEXTS: Wanted = (are_texts, "a list of strings")


def between(low: float, high: float = math.inf) -> Callable[[Any], bool]:
    return lambda value: is_number(value) and low <= value <= high


def among(*names: str) -> Wanted:
    return lambda value: isinstance(value, str) and value in names, f"one of {', '.join(names)}"


def is_dtype(value: Any) -> bool:
    values = value.values() if isinstance(value, Mapping) else [value]  # of parts, by name
    return all(isinstance(each, str) and _DTYPE.fullmatch(each) for each in values)


def is_rope(value: Any, inner: bool = False) -> bool:
    """Rotary parameters: numbers by name, for all layers or by kind of layer."""
    if not isinstance(value, dict):
        return not inner and is_number(value)

    def good(key: str, each: Any) -> bool:
        if each is None or key.endswith("type"):
            return each is None or isinstance(each, str)
        if key.endswith("theta"):
            return is_positive(each)
        if isinstance(each, list):
            return all(map(is_number, each))
        if isinstance(each, dict):
            return not inner and is_rope(each, inner=True)
        return isinstance(each, bool) or is_number(each)

    return all(good(key, each) for key, each in value.items())


def is_positive(value: Any) -> bool:
    return is_number(value) and value > 0


def are_rows(value: Any) -> bool:
    """Ids in a list, or such lists by the name of their module."""
    values = value.values() if isinstance(value, Mapping) else [value]
    return all(isinstance(each, list) and are_ids(each) for each in values)


def is_bias(value: Any) -> bool:
    return isinstance(value, str) and (value in ("none", "all") or value.endswith("_only"))


def is_kind(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 100
