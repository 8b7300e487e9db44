"""Weighted sums of tensors as they lie, written to where they are needed in one pass over memory.

    terms ─ block ─► Σ weight · term, float32, in order ─► rounded once ─► finite? ─► destination

A product and its addition are two roundings, never fused, and no element depends on another: the
result is the same wherever a block begins. Nothing of a tensor's size is allocated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from engine.merging.basis import Tensors

QUANTUM = 1 << 22
"""Elements between two ticks: that of a cancel."""

_BLOCK = 1 << 18  # elements summed at a time: they stay in the processor's cache

Term = tuple[Tensor, float]
"""One-dimensional tensor of any float dtype, and its weight."""


class Sum(NamedTuple):
    """Neighbouring elements of a result.

    Attributes:
        start: offset of the first one in the flat result.
        size: how many.
        terms: each of `size` elements; none gives zeros.
    """

    start: int
    size: int
    terms: tuple[Term, ...]

    def part(self, start: int, count: int) -> Sum:
        """`count` elements from the `start`-th of these on."""
        inner = slice(start, start + count)
        terms = tuple((values[inner], weight) for values, weight in self.terms)
        return Sum(self.start + start, min(count, self.size - start), terms)

    def split(self, size: int) -> Iterator[Sum]:
        """Parts of at most `size` elements."""
        if self.size <= size:
            return iter((self,) if self.size else ())
        return (self.part(start, size) for start in range(0, self.size, size))


def joined(terms: Sequence[tuple[Sequence[Tensor], float]]) -> Iterator[Sum]:
    """The sums of a flat result over terms whose elements lie in several tensors, one after the
    other.

    Args:
        terms: (tensors of one dimension, weight); all of one length in total, at least one.
    """
    pieces = [list(tensors) for tensors, _ in terms]
    weights = [weight for _, weight in terms]
    start = 0
    while all(pieces):
        count = min(len(each[0]) for each in pieces)
        firsts = (each[0][:count] for each in pieces)
        yield Sum(start, count, tuple(zip(firsts, weights, strict=True)))
        start += count
        for each in pieces:
            each[0] = each[0][count:]
            if not len(each[0]):
                del each[0]


def accumulate(out: Tensor, values: Tensor, weight: float) -> None:
    """out += weight · values; both contiguous, `out` float32."""
    flat = out.view(-1)
    both = Sum(0, flat.numel(), ((flat, 1.0), (values.reshape(-1), weight)))
    write((both,), flat, torch.float32, lambda: None)


def write(sums: Iterable[Sum], out: Tensor, dtype: torch.dtype, tick: Callable[[], None]) -> bool:
    """Write sums into `out`; returns whether all that was written is finite.

    Args:
        out: of one dimension, contiguous, of any float dtype.
        dtype: that the sums are rounded to, once, before they are converted to `out`'s.
        tick: called between pieces of at most `QUANTUM` elements.
    """
    extremes: list[Tensor] = []
    for each in sums:
        for piece in each.split(QUANTUM):
            for block in piece.split(_BLOCK if out.device.type == "cpu" else QUANTUM):
                extremes.append(_write_block(block, out, dtype))
            tick()
    return not extremes or bool(torch.stack(extremes).isfinite().all())


def _write_block(block: Sum, out: Tensor, dtype: torch.dtype) -> Tensor:
    """Least and largest value of what was written, NaN where there is one."""
    place = out[block.start : block.start + block.size]
    rounded = _summed(block, out.device).to(dtype)
    place.copy_(rounded)
    return torch.stack(torch.aminmax(rounded))


def _summed(block: Sum, device: torch.device) -> Tensor:
    total = torch.empty(block.size, dtype=torch.float32, device=device)
    product = torch.empty_like(total)
    for position, (values, weight) in enumerate(block.terms):
        here = product if position else total
        here.copy_(values)
        if weight != 1.0:
            here.mul_(weight)
        if position:
            total.add_(product)
    return total if block.terms else total.zero_()


class SumBasis(ABC):
    """What all bases whose tensors are sums have in common."""

    tensors: Tensors

    @abstractmethod
    def sums(self, name: str, coefficients: Mapping[str, float]) -> Iterable[Sum]:
        """The sums that make θ(c)[name], in order."""

    def combine(self, name: str, coefficients: Mapping[str, float], out: Tensor) -> None:
        """Write θ(c)[name] into `out`, contiguous float32."""
        write(self.sums(name, coefficients), out.view(-1), torch.float32, self.tensors.tick)
