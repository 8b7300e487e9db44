"""Which elements stand where after `torch.argsort`, without sorting.

mergekit keeps elements by their place in `torch.argsort(|D|)`. Differences of 16-bit checkpoints
hold many equal values, and that sort is not stable: which of the equal ones are kept is decided by
how it works. On a CPU it is the introsort of the C++ library (torch 2.13, GCC's): split a range
around the median of three, split both sides, down to 16 elements, then sort these stably. Who asks
only what stands before a place has to follow one side of each split. So a place is found in a few
passes, the elements before it are mergekit's to the last one, and they are the same on every
device.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_INFINITY = {torch.bfloat16: 0x7F80, torch.float16: 0x7C00}
"""Bits of the infinity of types of 16 bits; those of a NaN without its sign are larger."""

_SMALL = 16  # a range that the sort splits no further
_BLOCK = 1 << 14  # elements compared at a time from either end: they stay in a core's cache


class _Uneven(Exception):
    """Splits went so badly that the library sorts by a heap instead.

    Attributes:
        places: where each key has come from.
    """

    def __init__(self, places: np.ndarray) -> None:
        super().__init__()
        self.places = places


def between(
    values: Tensor, start: int, stop: int, *, descending: bool = False, spoil: bool = False
) -> Tensor:
    """bool like `values`: those at the places `start` … `stop` − 1 of their order.

    Args:
        values: of any shape; compared as float32.
        start, stop: places; cut to what there is.
        descending: whether the order begins with the largest.
        spoil: whether they may be written over, which saves a copy.
    """
    total = values.numel()
    start, stop = max(start, 0), min(stop, total)
    if start >= stop:
        return torch.zeros_like(values, dtype=torch.bool)
    if stop - start == total:
        return torch.ones_like(values, dtype=torch.bool)
    flat = values.detach().cpu().reshape(-1)
    order = _order(flat if spoil else flat.clone(), (start, stop), descending)
    inside = np.zeros(total, dtype=np.bool_)
    for at in range(start, stop, _BLOCK):  # numpy turns all that it gets at once into 64 bits
        inside[order[at : min(at + _BLOCK, stop)]] = True
    return torch.from_numpy(inside).view(values.shape).to(values.device)


def _order(flat: Tensor, cuts: tuple[int, int], descending: bool) -> np.ndarray:
    """Indices, [n], of which those before each cut are the ones that the sort puts there.

    Args:
        flat: [n], n ≥ 1; written over.
    """
    kind, keys = flat.dtype, _keys(flat, descending)
    if keys is not None:
        try:
            return _arranged(keys, cuts)
        except _Uneven as uneven:
            found = np.empty_like(keys)
            found[uneven.places] = np.negative(keys) if descending else keys
            flat = torch.from_numpy(found)
            if found.dtype == np.int16:
                flat = flat.view(kind)
    return torch.argsort(flat.float(), descending=descending).numpy()


def _keys(flat: Tensor, descending: bool) -> np.ndarray | None:
    """Numbers that ascend as the sort goes, written over `flat` where its type holds them; None
    where the sort meets a NaN.

    What is not negative ascends as its bits do, which is half the work for 16 bits.
    """
    if flat.dtype in _INFINITY:
        bits = flat.view(torch.int16).numpy()
        if bits.min() >= 0 and bits.max() <= _INFINITY[flat.dtype]:
            return np.negative(bits, out=bits) if descending else bits
    values = flat.float().numpy()
    if np.isnan(values.max()):
        return None
    return np.negative(values, out=values) if descending else values


def _arranged(keys: np.ndarray, cuts: tuple[int, ...]) -> np.ndarray:
    """Indices as `_order` gives them, of keys in ascending order.

    Args:
        keys: [n], n ≥ 1, none NaN; rearranged.
    """
    total = len(keys)
    places = np.arange(total, dtype=np.int32 if total < 1 << 31 else np.int64)
    todo = [(0, total, 2 * (total.bit_length() - 1))]
    while todo:
        first, last, depth = todo.pop()
        if not any(first < cut < last for cut in cuts):
            continue
        if last - first <= _SMALL:
            order = first + np.argsort(keys[first:last], kind="stable")
            places[first:last] = places[order]
            continue
        if depth == 0:
            raise _Uneven(places)
        middle = _split(keys, places, first, last)
        todo += [(first, middle, depth - 1), (middle, last, depth - 1)]
    return places


def _split(keys: np.ndarray, places: np.ndarray, first: int, last: int) -> int:
    """Rearrange a range around a pivot; returns where its upper part begins.

    The library goes up to a key that is not below the pivot, down to one that is not above it,
    swaps the two and goes on until both ways meet. So the i-th such key from below changes places
    with the i-th from above, and many are swapped at once.
    """
    median = _median(keys, first + 1, first + (last - first) // 2, last - 1)
    _swap(keys, places, np.array([first]), np.array([median]))
    pivot = keys[first]
    low, high = first + 1, last
    while True:
        final = high - low <= 4 * _BLOCK
        width = high - low if final else _BLOCK
        up = low + np.flatnonzero(keys[low : low + width] >= pivot)
        down = high - 1 - np.flatnonzero(keys[high - width : high][::-1] <= pivot)
        both = min(len(up), len(down))
        if final:
            both = int(np.count_nonzero(up[:both] < down[:both]))
            _swap(keys, places, up[:both], down[:both])
            return int(min([*up[both : both + 1], *down[both - 1 : both], high]))
        _swap(keys, places, up[:both], down[:both])
        if both == len(up):
            low += width
        elif both:
            low = int(up[both - 1]) + 1
        if both == len(down):
            high -= width
        elif both:
            high = int(down[both - 1])


def _median(keys: np.ndarray, a: int, b: int, c: int) -> int:
    """The place of the median of three keys; of equal ones the place that the library takes."""
    if keys[a] < keys[b]:
        return b if keys[b] < keys[c] else c if keys[a] < keys[c] else a
    return a if keys[a] < keys[c] else c if keys[b] < keys[c] else b


def _swap(keys: np.ndarray, places: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
    for each in (keys, places):
        held = each.take(one)
        each[one] = each.take(other)
        each[other] = held
