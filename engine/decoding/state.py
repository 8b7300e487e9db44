"""Rows of a module's cache, whatever its form: caches, layers, lists and tables of tensors.

A tensor has its rows along one dimension: the first that is as long as the batch has rows and 1 for
a batch of one. What has none (a window's length, a counter) stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.decoding.growing_cache import GrowingLayer

_OURS = ("transformers.", "engine.decoding.growing_cache")
_MODELS = ("Config", "Model")


def taken(state: Any, rows: Tensor, count: int, one_row: Sequence[torch.Size] | None = None) -> Any:
    """A module's memory of these of its `count` rows, in new tensors; the given one stays.

    Args:
        one_row: shapes of the same tensors for one row, in the order of `tensors_of`; without them
            rows lie along the first dimension.
    """
    tensors = tensors_of(state)
    if one_row is None or len(one_row) != len(tensors):
        dimensions = {id(each): 0 for each in tensors if each.dim() > 1 and len(each) == count}
    else:
        found = [_row_dimension(a.shape, b, count) for a, b in zip(tensors, one_row, strict=True)]
        pairs = zip(tensors, found, strict=True)
        dimensions = {id(each): where for each, where in pairs if where is not None}

    def change(each: Tensor) -> Tensor:
        where = dimensions.get(id(each))
        return each if where is None else each.index_select(where, rows)

    return _rebuilt(state, rows, change, {})


def tensors_of(state: Any) -> list[Tensor]:
    """Every tensor of a module's cache, each once, without spare capacity."""
    found: dict[int, Tensor] = {}
    for each in _walk(state, set()):
        found.setdefault(id(each), each)
    return list(found.values())


def _row_dimension(shape: torch.Size, one_row: torch.Size, count: int) -> int | None:
    """The first dimension that is as long as there are rows, and 1 where there is one."""
    if len(shape) != len(one_row):
        return None
    sizes = enumerate(zip(shape, one_row, strict=True))
    return next((where for where, (many, one) in sizes if many == count and one == 1), None)


def _inside(value: Any) -> bool:
    """Whether an object is a piece of a memory: a cache or one of its layers."""
    kind = type(value)
    return kind.__module__.startswith(_OURS) and not (
        kind.__name__.endswith(_MODELS) or isinstance(value, torch.nn.Module)
    )


def _rebuilt(
    value: Any, rows: Tensor, change: Callable[[Tensor], Tensor], seen: dict[int, Any]
) -> Any:
    if id(value) in seen:
        return seen[id(value)]
    made: Any = value
    if isinstance(value, Tensor):
        made = change(value)
    elif isinstance(value, GrowingLayer):
        made = copy.copy(value)
        if value.is_initialized:
            made.batch_select_indices(rows)
    elif isinstance(value, dict):
        made = copy.copy(value)
        for key, each in value.items():
            made[key] = _rebuilt(each, rows, change, seen)
    elif isinstance(value, list | tuple):
        made = type(value)(_rebuilt(each, rows, change, seen) for each in value)
    elif hasattr(value, "__dict__") and _inside(value):
        made = copy.copy(value)
        seen[id(value)] = made
        for key, each in vars(value).items():
            made.__dict__[key] = _rebuilt(each, rows, change, seen)
    seen[id(value)] = made
    return made


def _walk(value: Any, seen: set[int]) -> Iterator[Tensor]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, GrowingLayer):
        yield from (each for each in (value.keys, value.values) if each is not None)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _walk(each, seen)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _walk(each, seen)
    elif hasattr(value, "__dict__") and _inside(value):
        yield from _walk(vars(value), seen)
