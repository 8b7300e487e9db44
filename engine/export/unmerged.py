"""How much a merged checkpoint may differ from LoRA experts that were scored unmerged.

    scored     θ0 x + Σ c_i Δ_i x                    float32, nothing rounded
    written    round(θ0 + Σ c_i Δ_i)                 in the checkpoint's type

What separates the two must be rounding and nothing else, and that is measured in two steps on the
reloaded export's own module:

    exact      the merged weights before rounding    logits equal the scored ones
    shaken     the same, each moved by half a unit   d = the largest logit that this moves
               in its last place, up or down by lot
    written    as they are                           within 4 d of the scored ones

d follows from the checkpoint's type: nothing in float32, tenths of a logit in bfloat16. Rounding
moves a weight by half a unit at most, so its effect is that of a smaller shake; four times d leaves
room for the luck of both draws, and an adapter that went missing is far beyond.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.compose import Composer
from engine.export.verify import Live, apart, rounding, same
from engine.family.checkpoint import open_checkpoint
from engine.family.loading import load_module
from engine.merging.basis import Basis, Tensors
from engine.merging.merged_model import MergedModel

SHAKES = 4.0
"""Shaken differences that a rounded checkpoint may lie from the scored model."""


class _Unrounded(Tensors):
    """The same tensors, whose merges are kept in float32."""

    def __init__(self, tensors: Tensors) -> None:
        self.__dict__.update(tensors.__dict__)

    def dtype(self, name: str) -> torch.dtype:
        return torch.float32


class _Exact:
    """A basis whose merged tensors are not rounded; shaken on request."""

    def __init__(self, basis: Basis, shaken: bool = False) -> None:
        self.tensors: Tensors = _Unrounded(basis.tensors)
        self._basis = basis
        self._generator = torch.Generator(basis.tensors.device).manual_seed(0) if shaken else None

    def combine(self, name: str, coefficients: Mapping[str, float], out: Tensor) -> None:
        self._basis.combine(name, coefficients, out)
        if self._generator is not None:
            shake(out, self._basis.tensors.dtype(name), self._generator)


def shake(values: Tensor, dtype: torch.dtype, generator: torch.Generator) -> None:
    """Move every value by half a unit in its last place in `dtype`, up or down by lot, in place."""
    limits = torch.finfo(dtype)
    half = values.abs().clamp_(min=limits.smallest_normal).mul_(limits.eps / 2)
    up = torch.rand(values.shape, device=values.device, generator=generator) < 0.5
    values.add_(torch.where(up, half, -half))


@dataclass(frozen=True)
class Rounded:
    """What rounding the merged weights does to the logits.

    Attributes:
        difference: largest |difference| of a probe's logit from what was scored.
        allowed: how large it may be.
    """

    difference: float
    allowed: float


def verify_rounded(
    composer: Composer, partial: Path, basis: Basis, coefficients: Mapping[str, float], live: Live
) -> Rounded:
    """Reload a merged checkpoint whose adapters were scored unmerged, and bound the difference.

    Raises:
        NotWhatWasScored: more than rounding separates the two.
    """
    module, placement = load_module(
        open_checkpoint(partial, "export"), composer.device, composer.dtype
    )
    again = MergedModel(module, placement)

    def logits(basis: Basis | None) -> Tensor:
        if basis is not None:
            again.write(basis, coefficients, basis.tensors.tick)
        with torch.inference_mode():
            return module(input_ids=live.ids).logits.float()

    written, exact = logits(None), logits(_Exact(basis))
    shaken = apart(logits(_Exact(basis, shaken=True)), exact)
    noise = rounding(composer.dtype, float(live.logits.abs().max()))
    allowed = SHAKES * shaken + noise
    # in 16 bits the module rounds the exact weights, too, and cannot tell the two apart
    strict = noise if composer.dtype == torch.float32 else allowed
    same(apart(exact, live.logits), strict, live, "the unrounded merge's")
    return Rounded(same(apart(written, live.logits), allowed, live, "reloaded"), allowed)
