"""Points whose score of an objective was measured under an earlier definition of it.

The definition is the fingerprint: data, scorer and its version, options, template. Such scores are
kept and never mixed with those of the current definition; this finds them.
"""

from __future__ import annotations

from collections.abc import Mapping

from cache.index import Index


def earlier(
    index: Index, family: str, objectives: Mapping[str, str], split: str, numerics: str
) -> dict[str, tuple[str, ...]]:
    """Objective -> ids of the points that have a score of it under another fingerprint alone.

    Args:
        objectives: name -> fingerprint now.
    """
    same = f"kind = {index.text('score')} AND family = {index.text(family)}"
    same += f" AND split = {index.text(split)} AND numerics = {index.text(numerics)}"
    there = index.arrays(
        f"SELECT DISTINCT objective, objective_fingerprint AS print FROM lines WHERE {same}"
    )
    defined = set(zip(there["objective"].tolist(), there["print"].tolist(), strict=True))
    found = {}
    for name, fingerprint in objectives.items():
        objective, now = index.text(name), index.text(fingerprint)
        if not any(each == objective and print_ != now for each, print_ in defined):
            continue
        points = index.arrays(
            "SELECT id FROM points WHERE point IN"
            f" (SELECT point FROM lines WHERE {same} AND objective = {objective}"
            f" AND objective_fingerprint <> {now}) AND point NOT IN"
            f" (SELECT point FROM lines WHERE {same} AND objective_fingerprint = {now}) ORDER BY id"
        )["id"]
        if len(points):
            found[name] = tuple(points)
    return found
