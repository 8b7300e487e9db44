"""Bases whose W is mostly zeros: kept as one bit an element and the values that are not zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.merging.bitmap import pack, places
from engine.merging.sums import Sum, SumBasis

if TYPE_CHECKING:
    from engine.merging.basis import Elementwise


class Sparse(SumBasis):
    """A basis whose W_i are stored as one bit per element and a float32 value where W_i ≠ 0."""

    def __init__(self, source: Elementwise) -> None:
        self.tensors = source.tensors
        self._parts: dict[str, list[tuple[int, int, list[tuple[Tensor, Tensor]]]]] = {}
        for name in self.tensors.names:
            parts = self._parts[name] = []
            for chunk in source.vectors(name):
                kept = [pack(row) for row in source.weigh(chunk)]
                parts.append((chunk.start, chunk.vectors.shape[1], kept))

    @property
    def bytes(self) -> int:
        """Memory that W takes."""
        kept = (pair for parts in self._parts.values() for part in parts for pair in part[2])
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
