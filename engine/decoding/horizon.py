"""How long a text may be before its class reads it in another way.

Two kinds of class look at the longest text of a call: "longrope" takes other rotary factors once it
passes a length, for every row of the batch and every position; sparse attention picks the k best
keys once there are more than k, padding counted. Up to that length they are like any other, beyond
it a text is read alone and again at every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEYS = ("keep_window_size", "index_topk")
"""How many keys are picked."""

_BLOCKS = ("index_topk_blocks", "index_block_size")
"""How many blocks of keys are picked, and how long each is."""

_ENOUGH = 1 << 16
_ORIGINAL = "original_max_position_embeddings"


def horizon(config: Mapping[str, Any]) -> int | None:
    """Longest text, in tokens, that is read like any other; None where no length matters."""
    found = [config[key] for key in _KEYS if _counts(config.get(key))]
    if all(_counts(config.get(key)) for key in _BLOCKS):
        found.append(config[_BLOCKS[0]] * config[_BLOCKS[1]])
    for key in ("rope_parameters", "rope_scaling"):
        rope = config.get(key)
        if isinstance(rope, Mapping):
            kinds = [each for each in rope.values() if isinstance(each, Mapping)] or [rope]
            found += [
                each.get(_ORIGINAL) or config.get(_ORIGINAL)
                for each in kinds
                if (each.get("rope_type") or each.get("type")) in ("longrope", "su")
            ]
    if isinstance(config.get("text_config"), Mapping):
        found.append(horizon(config["text_config"]))
    return min((each for each in found if each), default=None)


def every_key(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with a horizon beyond any short text, so that its class is tried within
    it."""
    names = (*_KEYS, _BLOCKS[0], _ORIGINAL)
    changed: dict[str, Any] = {key: _ENOUGH for key in names if _counts(config.get(key))}
    for key in ("rope_parameters", "rope_scaling"):
        if isinstance(config.get(key), Mapping):
            changed[key] = {
                name: every_key(value) if isinstance(value, Mapping) else value
                for name, value in {**config[key], **_original(config[key])}.items()
            }
    if isinstance(config.get("text_config"), Mapping):
        changed["text_config"] = every_key(config["text_config"])
    return {**config, **changed}


def _original(rope: Mapping[str, Any]) -> dict[str, int]:
    return {_ORIGINAL: _ENOUGH} if _counts(rope.get(_ORIGINAL)) else {}


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
