"""Weighted sums of tensors as they lie, written to where they are needed in one pass over memory.

    terms ─ block ─► Σ weight · term, float32, in order ─► rounded once ─► finite? ─► destination

A product and its addition are two roundings, never fused, and no element depends on another: the
result is the same wherever a block begins and whoever writes it. Nothing of a tensor's size is
allocated. In main memory a block is one loop of machine code (engine.merging.compiled) that any
number of threads share; elsewhere, and for float64, it is a row of torch's operations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from engine.merging.compiled import INFINITY, LANES, loop
from engine.merging.shared import shared

if TYPE_CHECKING:
    from engine.merging.basis import Tensors

QUANTUM = 1 << 22
"""Elements between two ticks: that of a cancel."""

_BLOCK = 1 << 18
"""Elements that a thread, or torch in main memory, takes at a time."""

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

    Runs on as many threads as torch does.

    Args:
        out: of one dimension, contiguous, of any float dtype.
        dtype: that the sums are rounded to, once, before they are converted to `out`'s.
        tick: called between pieces of at most `QUANTUM` elements, when no thread is at work.
    """
    largest = [0]
    extremes: list[Tensor] = []
    for each in sums:
        for piece in each.split(QUANTUM):
            if (run := _compiled(piece, out, dtype)) is not None:
                largest += shared(run, piece.size, _BLOCK)
            else:
                size = _BLOCK if out.device.type == "cpu" else QUANTUM
                extremes += [_write_block(block, out, dtype) for block in piece.split(size)]
            tick()
    finite = not extremes or bool(torch.stack(extremes).isfinite().all())
    return finite and max(largest) < INFINITY


def _compiled(piece: Sum, out: Tensor, dtype: torch.dtype) -> Callable[[int, int], int] | None:
    """(start, size) of a block of the piece -> bits of its largest number; writes the block.

    None where not all lie in main memory, without gaps, in types that machine code is made for.
    """
    place = out[piece.start : piece.start + piece.size]
    values = [each for each, _ in piece.terms]
    if not all(each.device.type == "cpu" and each.is_contiguous() for each in (place, *values)):
        return None
    run = loop([each.dtype for each in values], dtype, out.dtype)
    if run is None:
        return None
    read = [(each.data_ptr(), each.itemsize) for each in values]
    weights = [weight for _, weight in piece.terms]
    result, width = place.data_ptr(), place.itemsize

    def step(start: int, size: int) -> int:
        addresses = [address + start * itemsize for address, itemsize in read]
        return run(size, *addresses, *weights, result + start * width)

    def write_block(start: int, size: int) -> int:
        ahead = min(size, -(result // width + start) % LANES)  # up to where a whole step is aligned
        return max(step(start, ahead), step(start + ahead, size - ahead))

    return write_block


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
