"""Bases whose W is mostly zeros: kept as one bit an element and the values that are not zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from engine.merging.bitmap import Packing
from engine.merging.checked_file import Pieces
from engine.merging.expanded import add_kept
from engine.merging.shelf import Shelf, give_back
from engine.merging.sums import Sum, SumBasis

if TYPE_CHECKING:
    from engine.merging.basis import Elementwise, Tensors


PART = 1 << 18
"""Elements that are kept as one part, about: their sum stays in a core's cache."""


class Part(NamedTuple):
    """W of neighbouring elements of one tensor.

    Attributes:
        start: offset of the first element in the tensor's flat merged part.
        length: how many they are.
        kept: (bitmap, values) of each expert.
    """

    start: int
    length: int
    kept: list[tuple[Tensor, Tensor]]


class Sparse(SumBasis):
    """A basis whose W_i are stored as one bit per element and a float32 value where W_i ≠ 0."""

    def __init__(self, tensors: Tensors, parts: Mapping[str, Sequence[Part]]) -> None:
        self.tensors = tensors
        self._parts = parts

    @classmethod
    def of(cls, source: Elementwise) -> Sparse:
        """The W of a basis, computed chunk by chunk."""
        tensors, shelf = source.tensors, Shelf()
        give_back()  # what the method has found its bounds with
        return cls(tensors, {name: list(_parts(source, name, shelf)) for name in tensors.names})

    def stored(self) -> dict[str, Pieces]:
        """W as tensors that a file can hold: for each tensor of the family `lengths` of its parts,
        `counts` of their values [parts, experts], and all `bits` and `values`, part by part and
        where they are, without a copy."""
        found: dict[str, Pieces] = {}
        for place, parts in enumerate(self._parts.values()):
            pairs = [pair for part in parts for pair in part.kept]
            if not pairs:
                continue
            counts = torch.tensor([len(values) for _, values in pairs])
            found[f"{place}.lengths"] = torch.tensor([part.length for part in parts])
            found[f"{place}.counts"] = counts.view(len(parts), -1)
            found[f"{place}.bits"] = [bits for bits, _ in pairs]
            found[f"{place}.values"] = [values for _, values in pairs]
        return found

    @classmethod
    def restored(cls, tensors: Tensors, found: Mapping[str, Tensor]) -> Sparse:
        """What `stored` gave for the same family.

        Raises:
            ValueError: it is another family's.
        """
        kept = {}
        for place, name in enumerate(tensors.names):
            count = tensors.merged_shape(name).numel()
            lengths = found.get(f"{place}.lengths", torch.zeros(0, dtype=torch.int64))
            if int(lengths.sum()) != count:
                raise ValueError(f"W of {name} is of {int(lengths.sum())} elements, not {count}")
            kept[name] = list(_split(tensors, found, place, lengths.tolist()))
            tensors.tick()
        return cls(tensors, kept)

    @property
    def bytes(self) -> int:
        """Memory that W takes."""
        kept = (pair for parts in self._parts.values() for part in parts for pair in part.kept)
        return sum(bits.numel() + 4 * values.numel() for bits, values in kept)

    def sums(self, name: str, coefficients: Mapping[str, float]) -> Iterator[Sum]:
        """What makes θ(c)[name], from the stored W; bit-equal to that of `Elementwise`."""
        tensors = self.tensors
        (base,) = tensors.stored("base", name)
        for start, length, kept in self._parts[name]:
            part = base[start : start + length].to(tensors.device, torch.float32, copy=True)
            for expert, (bits, values) in zip(tensors.experts, kept, strict=True):
                weight = coefficients[expert]
                if weight != 0.0 and len(values):
                    add_kept(part, bits, values, weight)
            yield Sum(start, length, ((part, 1.0),))
        yield from tensors.extra(name)


def _parts(source: Elementwise, name: str, shelf: Shelf) -> Iterator[Part]:
    """W of a tensor, packed chunk by chunk."""

    def part() -> Part:
        packed = [each.packed() for each in packing]
        kept = [(shelf.keep(bits), shelf.keep(values)) for bits, values in packed]
        return Part(start, packing[0].length, kept)

    packing: list[Packing] = []
    start = 0
    for chunk in source.vectors(name):
        if packing and packing[0].length >= PART:
            yield part()
            packing = []
        if not packing:
            start, packing = chunk.start, [Packing() for _ in chunk.experts]
        for each, row in zip(packing, source.weigh(chunk), strict=True):
            each.add(row)
    if packing:
        yield part()


def _split(
    tensors: Tensors, found: Mapping[str, Tensor], place: int, lengths: Sequence[int]
) -> Iterator[Part]:
    """The parts of the tensor at a place, views of what was stored."""
    if not lengths:
        return
    experts = len(tensors.experts)
    counts = found[f"{place}.counts"]
    if counts.shape != (len(lengths), experts):
        raise ValueError(f"W is of {counts.shape[-1]} experts, not {experts}")
    sizes = [-(-length // 8) for length in lengths for _ in range(experts)]
    bits = found[f"{place}.bits"].to(tensors.device).split(sizes)
    values = found[f"{place}.values"].to(tensors.device).split(counts.view(-1).tolist())
    start = 0
    for at, length in enumerate(lengths):
        own = slice(at * experts, (at + 1) * experts)
        yield Part(start, length, list(zip(bits[own], values[own], strict=True)))
        start += length
