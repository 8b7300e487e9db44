"""How long a text may be before its class reads it differently.

Two kinds of class look at the longest text of a call: "longrope" takes other rotary factors once it
passes a length, for every row of the batch and every position; sparse attention picks the k best
keys once there are more than k, padding counted. Up to that length they are like any other, beyond
it a text is read alone and again at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_KEYS = ("keep_window_size", "index_topk")
"""How many keys are picked."""

_BLOCKS = ("index_topk_blocks", "index_block_size")
"""How many blocks of keys are picked, and how long each is."""

_ENOUGH = 1 << 16
_ORIGINAL = "original_max_position_embeddings"


def sparse_horizon(config: Mapping[str, Any]) -> int | None:
    """Longest text whose keys are all picked; None if keys are not picked."""
    found = [config[key] for key in _KEYS if _counts(config.get(key))]
    if all(_counts(config.get(key)) for key in _BLOCKS):
        found.append(config[_BLOCKS[0]] * config[_BLOCKS[1]])
    return _least(found, sparse_horizon, config)


def rotary_horizon(config: Mapping[str, Any]) -> int | None:
    """Longest text for which a "longrope" class takes its short factors; None for the others."""
    found = []
    for key in ("rope_parameters", "rope_scaling"):
        rope = config.get(key)
        if isinstance(rope, Mapping):
            kinds = [each for each in rope.values() if isinstance(each, Mapping)] or [rope]
            found += [
                each.get(_ORIGINAL) or config.get(_ORIGINAL)
                for each in kinds
                if (each.get("rope_type") or each.get("type")) in ("longrope", "su")
            ]
    return _least(found, rotary_horizon, config)


def _least(
    found: list[Any],
    inside: Callable[[Mapping[str, Any]], int | None],
    config: Mapping[str, Any],
) -> int | None:
    text = config.get("text_config")
    nested = [inside(text)] if isinstance(text, Mapping) else []
    return min((each for each in (*found, *nested) if each), default=None)


def far(config: Mapping[str, Any], sparse: bool) -> dict[str, Any]:
    """The configuration with its horizon beyond any short text, so that its class is tried within
    it: the rotary one, and that of sparse attention where it is asked for."""
    names = (*_KEYS, _BLOCKS[0], _ORIGINAL) if sparse else (_ORIGINAL,)
    changed: dict[str, Any] = {key: _ENOUGH for key in names if _counts(config.get(key))}
    for key in ("rope_parameters", "rope_scaling"):
        if isinstance(config.get(key), Mapping):
            changed[key] = {
                name: far(value, sparse) if isinstance(value, Mapping) else value
                for name, value in {**config[key], **_original(config[key])}.items()
            }
    if isinstance(config.get("text_config"), Mapping):
        changed["text_config"] = far(config["text_config"], sparse)
    return {**config, **changed}


def _original(rope: Mapping[str, Any]) -> dict[str, int]:
    return {_ORIGINAL: _ENOUGH} if _counts(rope.get(_ORIGINAL)) else {}


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
