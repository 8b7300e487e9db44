"""Bases whose W is mostly zeros: kept as one bit an element and the values that are not zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from engine.merging.bitmap import Packing, places
from engine.merging.sums import Sum, SumBasis

if TYPE_CHECKING:
    from engine.merging.basis import Elementwise


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

    def __init__(self, source: Elementwise) -> None:
        self.tensors = source.tensors
        self._parts = {name: list(_parts(source, name)) for name in self.tensors.names}

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
                    part.index_add_(0, places(bits, length), values * weight)
            yield Sum(start, length, ((part, 1.0),))
        yield from tensors.extra(name)


def _parts(source: Elementwise, name: str) -> Iterator[Part]:
    """W of a tensor, packed chunk by chunk."""
    packing: list[Packing] = []
    start = 0
    for chunk in source.vectors(name):
        if packing and packing[0].length >= PART:
            yield Part(start, packing[0].length, [each.packed() for each in packing])
            packing = []
        if not packing:
            start, packing = chunk.start, [Packing() for _ in chunk.experts]
        for each, row in zip(packing, source.weigh(chunk), strict=True):
            each.add(row)
    if packing:
        yield Part(start, packing[0].length, [each.packed() for each in packing])
