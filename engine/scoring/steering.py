"""How strongly experts steer, where a method chooses that token by token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.scoring.registry import scorer

if TYPE_CHECKING:
    from engine.scoring.data import Row


@scorer(
    kind="strength",
    direction="minimize",
    mean="mean",
    needs="prompt",
    summary="the strength that dynamic_fusion chooses, on average over the tokens of an answer; 0 "
    "for what chooses none",
    unit="mean strength",
    source="arXiv 2406.15480",
    least=0.0,
)
def strength(strengths: Sequence[float], row: Row) -> float:
    """The end token counts where the text ended by it."""
    return math.fsum(strengths) / len(strengths)
