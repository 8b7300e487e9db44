"""Coefficients by depth: a basis that takes, of `name@1 … name@k`, those of a tensor's own band."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from engine.merging.basis import Basis, Summed, Tensors
from engine.merging.sums import Sum


class Banded:
    """Another basis, each tensor of which has the coefficients of its band of layers.

    W is the same whatever the bands: they say where which coefficients count.
    """

    def __init__(self, basis: Basis) -> None:
        self.basis = basis
        self.tensors: Tensors = basis.tensors

    def combine(self, name: str, coefficients: Mapping[str, float], out: Tensor) -> None:
        """Write θ(c)[name] into `out`; coefficients are by band, or plain ones for all."""
        self.basis.combine(name, self._at(name, coefficients), out)

    def sums(self, name: str, coefficients: Mapping[str, float]) -> Iterable[Sum] | None:
        """As the other basis has them; None where it combines a tensor whole."""
        if not isinstance(self.basis, Summed):
            return None
        return self.basis.sums(name, self._at(name, coefficients))

    def _at(self, name: str, coefficients: Mapping[str, float]) -> Mapping[str, float]:
        return self.tensors.family.depth.at(coefficients, name)
