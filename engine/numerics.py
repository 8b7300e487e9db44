"""What fixes the digits of a score beside recipe, family and objective."""

from __future__ import annotations

from dataclasses import dataclass

BUCKETS = 1
"""Version of everything that fixes a batch's shape; raised when any of it changes."""

FED_BUCKETS = 2
"""The same where a model of the family is of a class that is not fed like plain attention."""

STACKED = 2
"""Added to either where several LoRA experts run as one product: their sum is rounded otherwise."""


@dataclass(frozen=True)
class Numerics:
    """What a score's digits depend on beside recipe, family and objective.

    Attributes:
        device: kind of device, "cpu" or "cuda".
        dtype: compute dtype, "float32", "bfloat16" or "float16".
        buckets: version of the canonical batch shapes, and of how adapters are added.
    """

    device: str
    dtype: str
    buckets: int = BUCKETS

    def __str__(self) -> str:
        return f"{self.device}/{self.dtype}/{self.buckets}"
