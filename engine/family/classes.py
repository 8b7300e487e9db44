"""The defaults of transformers' classes where config.json is silent: a table, read without torch.

classes.json is derived from the installed library (`python -m tests.classes`): a model type's auto
class, its prefix, which tensors it ties under which configuration, its settings' defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.recipe import FrozenDict

FILE = Path(__file__).with_name("classes.json")


@dataclass(frozen=True)
class ModelClass:
    """One model type.

    Attributes:
        auto: "causal" or "multimodal", the auto class that makes a model of it; "" if it is a
            part of others only.
        prefix: what its inner model is called; a checkpoint may leave it out of every name.
        heads: tensor -> the tensor that it is where the class ties.
        tied: T or F for tie_word_embeddings absent, true and false; for a class of parts each with
            the text part's three.
        defaults: setting -> value where config.json is silent.
        derived: settings that are computed from others where they are not given.
        floats: settings that the class takes as a float and not as a whole number.
        aliases: other names of settings -> the name in `defaults`.
        rope: rotary positions where config.json names none; {} for a class without.
    """

    auto: str = ""
    prefix: str = ""
    heads: Mapping[str, str] = field(default_factory=FrozenDict)
    tied: str = "F"
    defaults: Mapping[str, Any] = field(default_factory=FrozenDict)
    derived: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=FrozenDict)
    rope: Mapping[str, Any] = field(default_factory=FrozenDict)

    def ties(self, config: Mapping[str, Any]) -> bool:
        """Whether the class ties its output projection to the embedding under `config`."""
        top, text = _said(config), _said(config.get("text_config"))
        if len(self.tied) == 1:
            return self.tied == "T"
        return self.tied[top if len(self.tied) == 3 else 3 * top + text] == "T"


def _said(config: Any) -> int:
    """Where tie_word_embeddings stands among absent, true and false; null is false."""
    if not isinstance(config, Mapping) or "tie_word_embeddings" not in config:
        return 0
    return 1 if config["tie_word_embeddings"] else 2


@lru_cache(maxsize=1)
def _table() -> str:
    return FILE.read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def class_of(model_type: str) -> ModelClass | None:
    """The class of a model type; None if transformers has none."""
    start = f"\n{json.dumps(model_type)}: "  # a line a type: only the one asked for is parsed
    _, found, rest = _table().partition(start)
    if not found:
        return None
    entry = json.loads(rest.partition("\n")[0].rstrip(","))
    lists = {key: tuple(entry.get(key, ())) for key in ("derived", "floats")}
    return ModelClass(**entry | lists)
