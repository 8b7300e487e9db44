"""Merged weights moved towards a model of the family: (1 − ε) θ(c) + ε θ_m.

θ(c) is taken as an export holds it, rounded to the checkpoint's dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from engine.merging.merged_model import merged_tensor

if TYPE_CHECKING:
    from torch import Tensor

    from engine.merging.basis import Affine, Basis, Tensors


def one_model(tensors: Tensors, name: str) -> Affine:
    """A basis that writes one model of a family, base or expert, whatever the coefficients."""
    weights = {each: float(each == name) for each in ("base", *tensors.experts)}
    return tensors.affine(lambda coefficients: dict(weights))


class Moved:
    """A basis that writes (1 − step) · what `basis` writes + step · a model.

    Args:
        towards: base or an expert.
        step: from 0, nothing, to 1, all the way.
    """

    def __init__(self, basis: Basis, towards: str, step: float) -> None:
        self.tensors: Tensors = basis.tensors
        self._basis = basis
        self._towards = one_model(basis.tensors, towards)
        self._step = step

    def combine(self, name: str, coefficients: Mapping[str, float], out: Tensor) -> None:
        """Write the moved tensor into `out`, float32."""
        out.copy_(merged_tensor(self._basis, name, coefficients))
        other = torch.empty_like(out)
        self._towards.combine(name, coefficients, other)
        out.mul_(1.0 - self._step).add_(other, alpha=self._step)
