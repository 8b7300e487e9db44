"""Existing scores on the report split, so that an export measures them only once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engine.scoring.intervals import with_interval
from engine.study import Objective

if (
    TYPE_CHECKING
):  # a worker has no use for a store: DuckDB and Arrow would cost it 0.1 s at its start
    from cache.store import Store


def shown_score(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is reported of a score row: its numbers, or why it has none."""
    names = ("mean", "stderr", "n", "low", "high")
    score = with_interval(row["scorer"], {name: row.get(name) for name in names})
    if score["mean"] is None:
        score["error"] = row.get("error") or "it has no finite value"
    return score


def reported(
    store: Store,
    family: str,
    objectives: Sequence[Objective],
    fingerprints: Mapping[str, str],
    numerics: str,
    point: str,
) -> list[dict[str, Any]]:
    """What the job "export" takes as `scores`: one entry an objective that has its score.

    Args:
        objectives: with their directions filled in.
        fingerprints: objective name -> fingerprint.
    """
    rows = store.scores(
        family,
        objectives=fingerprints,
        split="report",
        numerics=numerics,
        point=point,
        values=False,
    )
    by_fingerprint = {row["objective_fingerprint"]: row for row in rows}
    return [
        {
            "objective": each.name,
            "scorer": each.scorer,
            "direction": each.direction,
            "split": "report",
            "score": shown_score(row),
        }
        for each in objectives
        if (row := by_fingerprint.get(fingerprints[each.name])) is not None
    ]
