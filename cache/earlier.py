"""Points whose score of an objective was measured under an earlier definition of it.

The definition is the fingerprint: data, scorer and its version, options, template. Such scores are
kept and never mixed with those of the definition now; this tells that they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Query = Callable[[str, list[Any]], Mapping[str, list[Any]]]


def earlier(
    query: Query, family: str, objectives: Mapping[str, str], split: str, numerics: str
) -> dict[str, tuple[str, ...]]:
    """Objective -> ids of the points that have a score of it under another fingerprint alone.

    Args:
        objectives: name -> fingerprint now.
    """
    same = "kind = 'score' AND family = ? AND split = ? AND numerics = ?"
    found = {}
    for name, fingerprint in objectives.items():
        rows = query(
            f"SELECT DISTINCT point FROM rows WHERE {same} AND objective = ?"
            " AND objective_fingerprint <> ? AND point NOT IN"
            f" (SELECT point FROM rows WHERE {same} AND objective_fingerprint = ?) ORDER BY point",
            [family, split, numerics, name, fingerprint, family, split, numerics, fingerprint],
        )
        if rows["point"]:
            found[name] = tuple(rows["point"])
    return found
