"""A key-value cache that is written in place and copied only when its capacity is exhausted.

`DynamicLayer` of transformers copies all keys and values at every step to append one column; this
one keeps spare columns behind them. What attention sees are views of the same numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DummyLayer, DynamicLayer, DynamicSlidingWindowLayer

SPARE = 64
"""Columns allocated beyond those needed; a quarter of those in use where that is more."""

KEPT = 16
"""Of the spare columns those that stay when rows are selected: where some part or end at every
step, copying the others is most of the work."""


class GrowingLayer(DynamicLayer):
    """Keys and values [rows, heads, columns, width] of one attention layer, with spare capacity."""

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        super().lazy_initialization(key_states, value_states)
        self.used = 0
        self.rooms = (key_states[:, :, :0], value_states[:, :, :0])

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append columns; returns all keys and all values so far, as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, columns = self.used, key_states.shape[2]
        stop = start + columns
        keys, values = self.rooms
        if stop > keys.shape[2]:
            keys, values = self.rooms = (_wider(keys, start, stop), _wider(values, start, stop))
        keys.narrow(2, start, columns).copy_(key_states)
        values.narrow(2, start, columns).copy_(value_states)
        self.used = stop
        self.keys, self.values = keys.narrow(2, 0, stop), values.narrow(2, 0, stop)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, in new tensors: a shallow copy of this layer is unaffected."""
        if self.is_initialized:
            stop = min(self.used + KEPT, self.rooms[0].shape[2])
            keys, values = (room.narrow(2, 0, stop) for room in self.rooms)
            # indexing with [] takes 3.5 times as long
            self.rooms = keys.index_select(0, indices), values.index_select(0, indices)
            self.show()

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self.batch_select_indices(beam_idx)

    def batch_repeat_interleave(self, repeats: int) -> None:
        if self.is_initialized:
            rows = torch.arange(len(self.rooms[0]), device=self.rooms[0].device)
            self.batch_select_indices(rows.repeat_interleave(repeats))

    def crop(self, tokens_to_remove: int) -> None:
        """Drop that many of the last columns; given as 0 or less, as in `DynamicLayer`."""
        if tokens_to_remove > 0:
            raise ValueError(f"crop takes 0 or less, got {tokens_to_remove}")
        if self.is_initialized:
            self.used = max(0, self.used + tokens_to_remove)
            self.show()

    def show(self) -> None:
        """Point keys and values at the used columns of the buffers."""
        self.keys, self.values = (room.narrow(2, 0, self.used) for room in self.rooms)


def attends_only(config: PreTrainedConfig) -> bool:
    """Whether the cache of a configuration holds keys and values of attention alone."""
    kinds = (DynamicLayer, DynamicSlidingWindowLayer, DummyLayer)
    return all(type(layer) in kinds for layer in DynamicCache(config=config).layers)


def only_grows(cache: Any) -> bool:
    """Whether a cache is one of growing layers alone."""
    return type(cache) is DynamicCache and all(type(each) is GrowingLayer for each in cache.layers)


def joined(caches: Sequence[DynamicCache]) -> DynamicCache:
    """One of the rows of several that only grow, of as many columns each; those stay as they
    are."""
    first = copy.copy(caches[0])
    first.layers = [_joined(each) for each in zip(*(each.layers for each in caches), strict=True)]
    return first


def _joined(layers: Sequence[GrowingLayer]) -> GrowingLayer:
    made = copy.copy(layers[0])
    keys, values = ([each.rooms[n].narrow(2, 0, made.used) for each in layers] for n in (0, 1))
    made.rooms = _stacked(keys), _stacked(values)
    made.show()
    return made


def _stacked(rows: Sequence[Tensor]) -> Tensor:
    """All rows, with spare columns."""
    _, heads, columns, width = rows[0].shape
    room = rows[0].new_empty(sum(map(len, rows)), heads, columns + KEPT, width)
    torch.cat(tuple(rows), out=room.narrow(2, 0, columns))
    return room


def _wider(room: Tensor, used: int, needed: int) -> Tensor:
    rows, heads, _, width = room.shape
    wider = room.new_empty(rows, heads, needed + max(SPARE, needed // 4), width)
    wider.narrow(2, 0, used).copy_(room.narrow(2, 0, used))
    return wider


def growing_cache(config: PreTrainedConfig) -> DynamicCache:
    """The cache that transformers would make, its plain attention layers replaced."""
    cache = DynamicCache(config=config)
    cache.layers = [
        GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache
