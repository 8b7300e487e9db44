"""What fixes the digits of a score beside recipe, family and objective."""

from __future__ import annotations

from dataclasses import dataclass

BUCKETS = 1
"""Version of everything that fixes a batch's shape; raised when any of it changes."""

FED_BUCKETS = 2
"""The same where a model of the family is of a class that is not fed like plain attention."""

STACKED = 2
"""Added to either where several LoRA experts run as one product: their sum is rounded otherwise."""

ONEDNN = 4
"""Added to any of them where a CPU computes in float32: oneDNN makes its large products
(`engine.family.products`), whose sums are rounded otherwise than MKL's, which made them before."""


@dataclass(frozen=True)
class Numerics:
    """What a score's digits depend on beside recipe, family and objective.

    Attributes:
        device: kind of device, "cpu" or "cuda".
        dtype: compute dtype, "float32", "bfloat16" or "float16".
        buckets: version of the canonical batch shapes, of how adapters are added, and of who makes
            the products.
    """

    device: str
    dtype: str
    buckets: int = BUCKETS

    def __str__(self) -> str:
        return f"{self.device}/{self.dtype}/{self.buckets}"


def numerics(device: str, dtype: str, *, plain: bool, stacked: bool) -> Numerics:
    """Those of a family that is computed so.

    Args:
        dtype: with or without "torch." before it.
        plain: every model is fed like plain attention.
        stacked: several LoRA experts run as one product.
    """
    dtype = dtype.removeprefix("torch.")
    buckets = (BUCKETS if plain else FED_BUCKETS) + (STACKED if stacked else 0)
    if device == "cpu" and dtype == "float32":
        buckets += ONEDNN
    return Numerics(device, dtype, buckets)
