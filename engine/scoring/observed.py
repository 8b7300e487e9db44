"""What an evaluation has seen of a model, and what is known of it beside its score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from engine.decoding.loop import Generation


class Metadata(TypedDict):
    """What is known of an evaluation beside its score.

    Keys:
        seconds: spent on this objective; what it shares with an earlier one is counted there.
        tokens: generated with end tokens, or measured (likelihood, choice); None for cost.
        tokens_per_second: of the generation; None if nothing was generated.
        texts: one a row, cut at the first stop; None if nothing was generated.
    """

    seconds: float
    tokens: int | None
    tokens_per_second: float | None
    texts: list[str] | None


@dataclass(frozen=True)
class Generated:
    """What was generated for every row."""

    generations: list[Generation]
    texts: list[str]
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Observed:
    """What a scorer looks at, one observation a row."""

    observations: Sequence[Any]
    tokens: int | None = None
    weights: Sequence[float] | None = None
    generated: Generated | None = None
