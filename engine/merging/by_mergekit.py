"""A method of mergekit's as a basis: each tensor merged anew by `engine.mergekit`, in float32.

Coefficients are mergekit's weights. Most of its methods weigh before they elect signs or measure
directions, so they are not linear in the coefficients and there is no W to keep: a move costs what
the merge of a tensor does. An expert of coefficient 0 takes no part, as a model that a YAML does
not list. Masks are drawn by seed, tensor, element and the expert's fingerprint, as `dare`'s are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine.mergekit import MERGES
from engine.mergekit.method import Inputs, Part
from engine.merging.basis import Tensors
from engine.merging.sums import Sum, SumBasis


class ByMergekit(SumBasis):
    """θ(c) by mergekit's method of a name, with c as its weights.

    Args:
        method: of mergekit.
        each: parameters of every model besides its weight.
        shared: parameters of the merge.
        seed: of masks drawn by lot.
    """

    def __init__(
        self,
        tensors: Tensors,
        method: str,
        each: Mapping[str, Any],
        shared: Mapping[str, Any],
        seed: int = 0,
    ) -> None:
        self.tensors = tensors
        self.method = MERGES[method]
        self.each = each
        self.shared = shared
        self.seed = seed

    def sums(self, name: str, coefficients: Mapping[str, float]) -> Iterator[Sum]:
        """The merged tensor; the base as it is stored where no expert takes part."""
        merged = self.tensors.read("base", name)
        weights = {name: value for name, value in coefficients.items() if value != 0.0}
        if weights and merged.numel():
            merged = self._merged(name, merged.to(torch.float32), weights)
        yield Sum(0, merged.numel(), ((merged.reshape(-1), 1.0),))
        yield from self.tensors.extra(name)

    def _merged(self, name: str, base: Tensor, weights: Mapping[str, float]) -> Tensor:
        parts = []
        for expert, weight in weights.items():
            tensor = self._expert(name, expert, base)
            lots = partial(self.tensors.lots, name, expert, self.seed)
            parts.append(Part(tensor, {**self.each, "weight": weight}, lots))
            self.tensors.tick()
        return self.method(Inputs(name, base, parts, self.shared))

    def _expert(self, name: str, expert: str, base: Tensor) -> Tensor:
        if expert in self.tensors.full:
            return self.tensors.read(expert, name).to(torch.float32)
        delta = self.tensors.delta(expert, name)
        return base if delta is None else base + delta.view(base.shape)
