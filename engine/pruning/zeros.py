"""Which weights of a checkpoint are zeroed, one bit each, and a basis that writes them so.

The bits are of the tensors as they are stored, so that a live module and a written checkpoint are
zeroed in the same places. A tensor that transformers makes from several stored ones by arithmetic
of its own (`engine.family.placement`, groups) has no such places, and its layers stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.family.placement import Part
from engine.merging.basis import Basis, Tensors


@dataclass(frozen=True, eq=False)
class Zeros:
    """Places in stored tensors.

    Attributes:
        bits: stored name -> its bitmap, uint8; a name that is missing has no zeros.
        count: bits that are set.
        of: weights of the linear layers that were looked at.
    """

    bits: Mapping[str, np.ndarray]
    count: int
    of: int

    @property
    def sentence(self) -> str:
        """What was pruned, for people."""
        return f"Pruned: {self.count:,} of {self.of:,} weights of its linear layers are zeroed."

    def zero(self, name: str, tensor: Tensor) -> None:
        """Zero what is to be zeroed of a tensor of this stored name, in place; it may be a view."""
        if name in self.bits:
            unpacked = np.unpackbits(self.bits[name], count=tensor.numel())
            mask = torch.from_numpy(unpacked).view(tensor.shape).to(tensor.device, torch.bool)
            tensor.masked_fill_(mask, 0.0)

    def zero_all(self, tensors: Mapping[str, Tensor]) -> None:
        """The same for all of them, by stored name."""
        for name in self.bits:
            self.zero(name, tensors[name])


class Gathered:
    """Collects the zeros of a live module's weights as those of stored tensors.

    Args:
        parts: stored name -> its place in the module.
    """

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts: dict[str, list[tuple[str, Part]]] = {}
        for name, part in parts.items():
            self._parts.setdefault(part.target, []).append((name, part))
        self._bits: dict[str, np.ndarray] = {}
        self._count = self._of = 0

    def knows(self, weight: str) -> bool:
        """Whether the weight of this name in the module is made of stored tensors as they are."""
        return weight in self._parts

    def add(self, weight: str, mask: Tensor) -> None:
        """Take the places of one weight; bool of its shape."""
        for name, part in self._parts[weight]:
            mine = part.of(mask).reshape(-1)
            self._bits[name] = np.packbits(mine.cpu().numpy())
            self._count += int(mine.sum())
            self._of += mine.numel()

    def done(self) -> Zeros:
        return Zeros(self._bits, self._count, self._of)


class Pruned:
    """A basis whose merged tensors are zeroed in these places."""

    def __init__(self, basis: Basis, zeros: Zeros) -> None:
        self.tensors: Tensors = basis.tensors
        self._basis = basis
        self._zeros = zeros

    def combine(self, name: str, coefficients: Mapping[str, float], out: Tensor) -> None:
        """Write θ(c)[name], zeroed, into `out`."""
        self._basis.combine(name, coefficients, out)
        self._zeros.zero(name, out)
