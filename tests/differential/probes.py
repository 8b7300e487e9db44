"""Scorers that show what they were given: the numbers behind a mean, row by row.

They are registered like any scorer and run through the command line; `seen` collects, in the order
of the rows, what the engine hands to a scorer of the kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from engine.scoring.likelihood import Delimiter
from engine.scoring.registry import SCORERS, scorer

seen: list[tuple[str, list[float]]] = []
"""(kind, observation) of every row that was scored by a probe, in order."""


def _note(kind: str, observation: Sequence[float]) -> float:
    values = [float(each) for each in observation]
    seen.append((kind, values))
    return sum(values)


@contextmanager
def registered() -> Iterator[None]:
    """The probes are scorers within the block."""

    @scorer(
        kind="choice",
        direction="maximize",
        mean="mean",
        needs="choices",
        summary="Σ log p",
        unit="nats",
    )
    def probe_choice(found: Any, row: Any, *, delimiter: Delimiter = None) -> float:
        return _note("choice", found.sums)

    @scorer(
        kind="likelihood",
        direction="maximize",
        mean="mean",
        needs="target",
        summary="log p",
        unit="nats",
    )
    def probe_nll(each: Sequence[float], row: Any, *, delimiter: Delimiter = None) -> float:
        return _note("nll", each)

    try:
        yield
    finally:
        del SCORERS["probe_choice"], SCORERS["probe_nll"]
