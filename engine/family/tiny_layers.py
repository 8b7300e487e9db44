"""Few layers of a configuration, one of each kind, with everything that is told layer by layer.

    layer_types        s s s s s f s s s s s f      the first of each kind stays:
    mlp_layer_types    d d d d d d d d x x x x          s f s f
    per_layer_config   05, 11: wider heads              d d x x      01, 03: wider heads

A kind is all that distinguishes layers: their entries in lists as long as the stack, in lists of
indices and in per_layer_config, lying before or after a number of first or last layers. A rule by
period gets a shorter period.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

FEWEST = 2
MOST = 8
PERIOD = 4

LAYER_COUNTS = (
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "encoder_layers",
    "num_decoder_layers", "num_encoder_layers", "num_blocks", "depth", "layers",
)  # fmt: skip
"""Names of the number of layers, that of the stack which writes first."""

_FIRST = re.compile(
    r"^(?:first_k_dense_replace|num_dense_layers|moe_layer_start_index|num_hash_\w+)$"
)
_LAST = "num_kv_shared_layers"
_SOURCES = "kv_source_layers"  # a layer -> the layer whose keys it reads
_SHARED = "hybrid"  # blocks that share their weights: one alone shares nothing
_CYCLE = re.compile(r"^block_types$")
_INDICES = re.compile(r"(?:layers|layer_ids|idxs|indices|indexes)$")
_PERIODS = re.compile(r"^(.*)_period$")
_PATTERN = re.compile(
    r"sliding_window_pattern$|layer_group_size$|no_rope_layer_interval$|_every_n_layers$"
)


def few_layers(full: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with two to eight layers, in their order; other sizes untouched."""
    count = _count(full)
    tiny = _shorter_periods(full)
    lists, indices = _told_by_layer(full, count)
    if (
        any(_PERIODS.search(key) for key in full) and not lists
    ):  # layers follow from the periods alone
        kept: Sequence[int] = range(min(count, PERIOD))
    else:
        kept = _chosen(full, count, lists, indices)
    for key in LAYER_COUNTS:
        if isinstance(full.get(key), int):
            tiny[key] = len(kept) if full[key] == count else min(full[key], FEWEST)
    for key, values in lists.items():
        tiny[key] = [values[layer] for layer in kept]
    if _SOURCES in lists:
        tiny[_SOURCES] = [kept.index(lists[_SOURCES][layer]) for layer in kept]
    for key, values in indices.items():
        tiny[key] = [place for place, layer in enumerate(kept) if layer in values]
    for key, value in full.items():
        if isinstance(value, int) and _FIRST.search(key):
            tiny[key] = sum(layer < value for layer in kept)
    if isinstance(full.get(_LAST), int):
        tiny[_LAST] = sum(layer >= count - full[_LAST] for layer in kept)
    if isinstance(full.get("moe_layer_end_index"), int):
        tiny["moe_layer_end_index"] = -1 if full["moe_layer_end_index"] < 0 else len(kept) - 1
    if type(full.get("num_layers_per_stack")) is int:
        tiny["num_layers_per_stack"] = FEWEST
        tiny["num_hidden_layers"] = count // full["num_layers_per_stack"] * FEWEST
    if isinstance(full.get("per_layer_config"), Mapping):
        own = {int(layer): each for layer, each in full["per_layer_config"].items()}
        tiny["per_layer_config"] = {
            f"{place:02d}": own[layer] for place, layer in enumerate(kept) if layer in own
        }
    return tiny


def _count(full: Mapping[str, Any]) -> int:
    """Layers of the stack that writes; 0 where the configuration names none."""
    for key in LAYER_COUNTS:
        if type(full.get(key)) is int:
            return int(full[key])
    listed = full.get("layers_block_type")
    return len(listed) if isinstance(listed, list) else 0


def _shorter_periods(full: Mapping[str, Any]) -> dict[str, Any]:
    tiny = dict(full)
    for key, value in full.items():
        found = _PERIODS.search(key)
        if found and type(value) is int and value > PERIOD:
            tiny[key] = PERIOD
            offset = f"{found[1]}_offset"
            if type(full.get(offset)) is int:
                tiny[offset] = min(full[offset], PERIOD // 2)
        elif _PATTERN.search(key) and type(value) is int and value > 2:
            tiny[key] = 2
    return tiny


def _told_by_layer(
    full: Mapping[str, Any], count: int
) -> tuple[dict[str, list[Any]], dict[str, list[int]]]:
    """(lists with an entry a layer, lists of layers' indices) by key."""
    lists, indices = {}, {}
    for key, value in full.items():
        if not isinstance(value, list) or not value:
            continue
        numbers = all(type(each) is int for each in value)
        rising = numbers and value == sorted(set(value)) and value[-1] < count
        if rising and _INDICES.search(key):
            indices[key] = value
        elif len(value) == count and (count > 2 or _INDICES.search(key) or "layer" in key):
            lists[key] = value
    return lists, indices


def _chosen(
    full: Mapping[str, Any],
    count: int,
    lists: Mapping[str, list[Any]],
    indices: Mapping[str, list[int]],
) -> list[int]:
    """The first layer of each kind and at least two layers, in order."""
    own = full.get("per_layer_config") or {}
    bounds = [v for k, v in full.items() if type(v) is int and _FIRST.search(k)]
    if type(full.get(_LAST)) is int:
        bounds.append(count - full[_LAST])

    def kind(layer: int) -> tuple[Hashable, ...]:
        listed = [str(values[layer]) for key, values in lists.items() if key != _SOURCES]
        told = [str(each) for key, each in own.items() if int(key) == layer]
        belongs = [layer in values for values in indices.values()]
        return (*listed, *told, *belongs, *(layer < bound for bound in bounds))

    first: dict[tuple[Hashable, ...], int] = {}
    for layer in range(count):
        first.setdefault(kind(layer), layer)
    kept = set(sorted(first.values())[:MOST])
    twice = [
        layer for layer, each in enumerate(full.get("layers_block_type") or ()) if each == _SHARED
    ]
    kept |= set(twice[:2])
    cycle = [len(v) for k, v in full.items() if isinstance(v, list) and _CYCLE.search(k)]
    for layer in range(min(count, max([FEWEST, *cycle]))):
        if len(kept) < FEWEST or (cycle and not lists):
            kept.add(layer)
    if _SOURCES in lists:
        kept |= {lists[_SOURCES][layer] for layer in kept}
    return sorted(kept)
