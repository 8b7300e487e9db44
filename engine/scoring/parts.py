"""Scores of a part of an objective's rows: scores of their own, which join no point.

The first n rows are those of `limit: n`, the same for every recipe; those of fewer are among those
of more. A part's score has its own fingerprint and is a row of its own kind in the journal, so that
nothing that looks for scores of the whole can take it for one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.errors import bad
from engine.scoring.data import limited, read_rows
from engine.study import Objective

KIND = "partial"
"""Of the journal's rows."""


def fingerprints(whole: Mapping[str, str], limits: Mapping[str, int]) -> dict[str, str]:
    """Objective -> its fingerprint for `cache.rows.score_id`, where a limit names it that of its
    first rows.

    Args:
        whole: objective -> fingerprint of all of it.
    """
    return {name: _first(each, limits.get(name)) for name, each in whole.items()}


def _first(fingerprint: str, n: int | None) -> str:
    if n is None:
        return fingerprint
    return hashlib.sha256(f"{fingerprint}\nfirst {n} rows".encode()).hexdigest()


def places_of(objective: Objective, n: int) -> list[int]:
    """Where the first n rows are among all of the explore split, in file order."""
    rows = read_rows(objective, "explore")
    chosen = {row.index for row in limited(rows, n)}
    return [place for place, row in enumerate(rows) if row.index in chosen]


def cut(objectives: Sequence[Objective], limits: Mapping[str, int]) -> list[Objective]:
    """The objectives on their first rows, where a limit names them.

    Raises:
        BadInput: a limit below 1 or beyond the objective's own.
    """
    found = []
    for each in objectives:
        n = limits.get(each.name)
        if n is not None and not 1 <= n <= (each.limit or n):
            raise bad("limits", f"{each.name} has no {n} rows", "Give 1 to its own limit.")
        found.append(each if n is None else replace(each, limit=n))
    return found
