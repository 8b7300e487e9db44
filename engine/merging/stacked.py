"""Several adapters of a layer as one product, and each row of a batch with a mixture of its own.

    y = base(x) + ((x Aᵀ) · s) Bᵀ        A [Σr, in], B [out, Σr]: the adapters' factors side by side
    s [Σr]                               one mixture: the scales, each as often as its rank
    s [rows, 1, Σr]                      a row of it for each row of the batch

Two products a layer, whatever the number of adapters. Where one adapter alone takes part, peft's
own forward runs, so that an expert by itself is the same bits beside others as without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer


def factors_of(layer: Any, name: str) -> tuple[Tensor, Tensor]:
    """A [rank, in] and B [out, rank] of one adapter of peft's layer."""
    if name in layer.lora_embedding_A:
        return layer.lora_embedding_A[name], layer.lora_embedding_B[name]
    return layer.lora_A[name].weight, layer.lora_B[name].weight


class NotByRow(Exception):
    """A layer is given something else than the rows of the batch: tokens sent to an expert, say."""


class Rows:
    """Which mixture each row of the batch at hand is of.

    Attributes:
        owners: int64 [rows]; None while there is one mixture for all.
    """

    owners: Tensor | None = None


class Stacked:
    """The adapters of one of peft's layers, in its place.

    Args:
        layer: with these adapters; its `forward` is replaced.
        inner: peft's names of the adapters there.
        rows: shared by the layers of a module.
    """

    def __init__(self, layer: LoraLayer, inner: Sequence[str], rows: Rows) -> None:
        self._layer = cast("Any", layer)
        self._rows = rows
        self._embedding = inner[0] in layer.lora_embedding_A
        factors = [factors_of(layer, name) for name in inner]
        self._ranks = {name: len(down) for name, (down, _) in zip(inner, factors, strict=True)}
        with torch.no_grad():
            down = torch.cat([each for each, _ in factors])
            self._down = down.T.contiguous() if self._embedding else down
            self._up = torch.cat([each for _, each in factors], 1)
        self._scales = self._down.new_zeros(sum(self._ranks.values()))
        self._alone = True
        self._theirs = self._layer.forward
        self._layer.forward = self._forward

    def mix(self, *weights: Mapping[str, float]) -> None:
        """Run this mixture, or with several one a row (`Rows.owners`).

        Args:
            weights: inner name -> scale of each adapter that takes part.
        """
        self._alone = len(weights) == 1 and len(weights[0]) < 2
        table = [
            [each.get(name, 0.0) for name, rank in self._ranks.items() for _ in range(rank)]
            for each in weights
        ]
        scales = torch.tensor(table, dtype=self._down.dtype, device=self._down.device)
        self._scales = scales[0] if len(weights) == 1 else scales

    def _forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self._alone:
            return cast("Tensor", self._theirs(x, *args, **kwargs))
        result = self._layer.base_layer(x, *args, **kwargs)
        scales = self._scales
        if scales.dim() == 2:
            owners = self._rows.owners
            columns = x.dim() - (0 if self._embedding else 1) - 1
            if owners is None or columns != 1 or len(x) != len(owners):
                raise NotByRow(f"a layer takes {tuple(x.shape)}")
            scales = scales[owners][:, None]
        if self._embedding:
            inner = functional.embedding(x, self._down)
        else:
            inner = functional.linear(x.to(self._down.dtype), self._down)
        added = functional.linear(inner * scales, self._up)
        if self._embedding and (scale := self._layer._get_embed_scale()) is not None:
            added = added * scale.to(added.dtype)
        return cast("Tensor", (result + added).to(result.dtype))
