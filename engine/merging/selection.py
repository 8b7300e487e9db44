"""Exact order statistics of a stream of float32 values, without sorting it.

    sample ─► brackets: two values that a rank most likely lies between
    one pass: how many lie below, and the few values inside ─► the rank among these

A sample cannot make the result wrong: where a rank lies outside its bracket, or the stream is not
ordered (NaN), two passes of counting find it: float bit patterns, with negative ones flipped, are
ordered like the numbers, so a histogram over the high 16 bits finds the bin of a rank, and one over
the low 16 bits of that bin finds the value itself. A short stream is held and partitioned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

_BINS = 1 << 16

HELD = 1 << 18
"""Values a row up to which a stream is held and partitioned."""

_MARGIN = 8.0  # standard deviations of a rank in the sample that a bracket reaches to each side


class Values(NamedTuple):
    """A stream of float32 values in n rows, read as often as need be.

    Attributes:
        total: values of each row.
        chunks: gives the same chunks [n, k] again at each call; k may vary, n may not.
        sample: gives a part of the same values, spread evenly over them, in any order; it decides
            how fast order statistics are found, not which.
    """

    total: int
    chunks: Callable[[], Iterator[Tensor]]
    sample: Callable[[], Iterator[Tensor]]


def order_statistics(values: Values, ranks: Sequence[int]) -> list[list[float]]:
    """Values at 0-based `ranks` of the ascending order of every row.

    Args:
        ranks: positions, each below `values.total`.

    Returns:
        n lists of len(ranks) floats.

    Raises:
        ValueError: a rank lies outside the stream.
    """
    if not values.total:
        raise ValueError("an empty stream has no order statistics")
    if any(not 0 <= rank < values.total for rank in ranks):
        raise ValueError(f"ranks {list(ranks)} of a stream of {values.total} values")
    if values.total <= HELD:
        held = torch.cat(list(values.chunks()), 1).cpu().numpy()
        return _partitioned(held, ranks)
    brackets = _brackets(values, ranks)
    for chunk in values.chunks():
        for row, own in zip(chunk, brackets, strict=True):
            flat: Any = row.numpy() if row.device.type == "cpu" else row
            for bracket in own:
                bracket.take(flat)
    missed: set[int] = set()
    found: list[dict[int, float]] = []
    for own in brackets:
        known = {}
        for bracket, rank in zip(own, ranks, strict=True):
            if (value := bracket.value(rank)) is None:
                missed.add(rank)
            else:
                known[rank] = value
        found.append(known)
    if missed:
        counted = _counted(values, sorted(missed))
        for known, others in zip(found, counted, strict=True):
            known.update(zip(sorted(missed), others, strict=True))
    return [[known[rank] for rank in ranks] for known in found]


def _partitioned(rows: np.ndarray, ranks: Sequence[int]) -> list[list[float]]:
    found = []
    for row in rows:
        row.partition(sorted(set(ranks)))
        found.append([float(row[rank]) for rank in ranks])
    return found


# ---- one pass, between two values ----------------------------------------------------------------


class _Bracket:
    """Counts a row's values against two bounds, and holds those strictly between them.

    Its arrays are numpy's on a CPU, whose comparisons are several times as fast, and else torch's.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self._below = self._at_low = self._at_high = 0
        self._inside: list[Any] = []

    def take(self, row: Any) -> None:
        """The next values of the row."""
        count: Any = np.count_nonzero if isinstance(row, np.ndarray) else torch.count_nonzero
        above = row > self.low
        reached = int(count(row >= self.low))
        self._below += len(row) - reached
        self._at_low += reached - int(count(above))
        self._at_high += int(count(row == self.high))
        above &= row < self.high
        self._inside.append(row[above])

    def value(self, rank: int) -> float | None:
        """The value at a rank of the row; None where it does not lie within the bounds."""
        parts = [torch.as_tensor(part).cpu().numpy() for part in self._inside]
        inside = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        place = rank - self._below
        if place < 0:
            return None
        if place < self._at_low:
            return self.low
        place -= self._at_low
        if place < len(inside):
            return float(np.partition(inside, place)[place])
        return self.high if place - len(inside) < self._at_high else None


def _brackets(values: Values, ranks: Sequence[int]) -> list[list[_Bracket]]:
    """One a rank for each row."""
    sample = torch.cat(list(values.sample()), 1).cpu().numpy()
    size = sample.shape[1]
    places = []
    for rank in ranks:
        share = (rank + 0.5) / values.total
        margin = _MARGIN * (math.sqrt(size * share * (1.0 - share)) + 1.0)
        places.append((math.floor(size * share - margin), math.ceil(size * share + margin)))
    inner = sorted({each for pair in places for each in pair if 0 <= each < size})
    found = []
    for row in sample:
        if inner:
            row.partition(inner)
        bounds = [
            [-math.inf if at < 0 else math.inf if at >= size else float(row[at]) for at in pair]
            for pair in places
        ]
        found.append([_Bracket(*pair) for pair in bounds])
    return found


# ---- two passes, at any values -------------------------------------------------------------------


def _ordered(values: Tensor) -> Tensor:
    """int64 in 0 … 2^32 − 1, ordered as the float32 values; −0.0 counts as 0.0."""
    bits = (values + 0.0).contiguous().view(torch.int32).to(torch.int64)
    return torch.where(bits < 0, ~bits & 0xFFFFFFFF, bits | 0x80000000)


def _value(key: int) -> float:
    bits = key & 0x7FFFFFFF if key & 0x80000000 else ~key & 0xFFFFFFFF
    signed = bits - (1 << 32) if bits >= 1 << 31 else bits
    return float(torch.tensor([signed], dtype=torch.int32).view(torch.float32)[0])


def _counted(values: Values, ranks: Sequence[int]) -> list[list[float]]:
    high = _histogram(values)
    cumulative = high.cumsum(1)
    wanted = torch.tensor(ranks, dtype=torch.int64, device=high.device)
    bins = torch.stack([torch.searchsorted(row, wanted, right=True) for row in cumulative])
    below = cumulative.gather(1, bins) - high.gather(1, bins)
    low = torch.zeros((*bins.shape, _BINS), dtype=torch.int64, device=high.device)
    for chunk in values.chunks():
        keys = _ordered(chunk)
        for row in range(len(bins)):
            tops = keys[row] >> 16
            for position, chosen in enumerate(bins[row].tolist()):
                inside = keys[row][tops == chosen] & 0xFFFF
                low[row, position] += torch.bincount(inside, minlength=_BINS)
    found = []
    for row in range(len(bins)):
        own = []
        for position, rank in enumerate(ranks):
            within = torch.tensor([rank - int(below[row, position])], device=high.device)
            tail = int(torch.searchsorted(low[row, position].cumsum(0), within, right=True))
            own.append(_value((int(bins[row, position]) << 16) | tail))
        found.append(own)
    return found


def _histogram(values: Values) -> Tensor:
    """How many values of each row have each pattern of the high 16 bits, int64 [n, 2^16]."""
    high: Tensor | None = None
    for chunk in values.chunks():
        keys = _ordered(chunk) >> 16
        counts = torch.stack([torch.bincount(row, minlength=_BINS) for row in keys])
        high = counts if high is None else high.add_(counts)
    assert high is not None
    return high
