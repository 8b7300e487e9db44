"""Queries of the index other than the join: a score's existence, a point's recipe, whole rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cache.index import NEWEST, OLDEST, Index
from cache.numbered import UNKNOWN
from cache.rows import FIELDS, unpack

_NAMED = "lines JOIN (SELECT key, text AS source FROM texts) AS named ON lines.source = named.key"
_NEWEST = NEWEST.replace("source", "named.source")


def has_score(
    index: Index, point: str, objective_fingerprint: str, split: str, numerics: str
) -> bool:
    texts = ["score", objective_fingerprint, split, numerics]
    return any(
        len(
            index.arrays(
                "SELECT 1 AS one FROM lines WHERE kind = ? AND objective_fingerprint = ?"
                " AND split = ? AND numerics = ? AND point = ? LIMIT 1",
                [*map(index.text, texts), number],
            )["one"]
        )
        for number in index.points_of([point])
    )


def recipe_of(index: Index, point: str) -> dict[str, Any] | None:
    """The recipe of a point, None if there is none."""
    found = index.arrays(
        "SELECT recipe FROM points WHERE id = ? AND recipe IS NOT NULL LIMIT 1", [point]
    )
    return json.loads(found["recipe"][0]) if len(found["recipe"]) else None


def numerics_of(index: Index, family: str, split: str) -> list[str]:
    """The numerics that a family has scores of, the most recent first."""
    found = index.arrays(
        'SELECT text FROM (SELECT numerics, max("sequence") AS last, max("at") AS latest'
        " FROM lines WHERE kind = ? AND family = ? AND split = ? GROUP BY numerics)"
        " JOIN texts ON numerics = key ORDER BY last DESC NULLS LAST, latest DESC, text",
        [index.text("score"), index.text(family), index.text(split)],
    )
    return list(found["text"])


def scores(
    index: Index,
    family: str,
    split: str,
    objectives: Mapping[str, str] | None = None,
    numerics: str | None = None,
    point: str | None = None,
    values: bool = True,
) -> list[dict[str, Any]]:
    """Current score rows as they were appended, oldest first.

    Args:
        objectives: name -> fingerprint; rows of other fingerprints are left out.
        values: whether to read the per-example results too.
    """
    where = f"kind = {index.text('score')} AND family = {index.text(family)}"
    where += f" AND split = {index.text(split)}"
    if numerics is not None:
        where += f" AND numerics = {index.text(numerics)}"
    if point is not None:
        where += f" AND point IN ({', '.join(map(str, index.points_of([point]))) or 'NULL'})"
    if objectives is not None:
        prints = ", ".join(str(index.text(each)) for each in objectives.values()) or "NULL"
        where += f" AND objective_fingerprint IN ({prints})"
    return _rows(index, where, "point, objective_fingerprint, numerics", values)


def records(index: Index, kind: str, family: str | None = None) -> list[dict[str, Any]]:
    """Rows of a kind, the newest of each id, oldest first."""
    if index.text(kind) == UNKNOWN:
        return []
    rows = _rows(index, f"kind = {index.text(kind)}", "id", True)
    return [row for row in rows if family is None or row["family"] == family]


def _rows(index: Index, where: str, same: str, values: bool) -> list[dict[str, Any]]:
    """Whole rows, the newest of those with the same values of the columns named."""
    names = [*(name for name in FIELDS if values or name != "values"), "extra"]
    columns = ", ".join(f'"{name}"' for name in names)
    found = index.arrays(
        f"SELECT {columns} FROM rows WHERE place IN (SELECT lines.rowid FROM {_NAMED} WHERE {where}"
        f" QUALIFY row_number() OVER (PARTITION BY {same} ORDER BY {_NEWEST}) = 1)"
        f" ORDER BY {OLDEST}"
    )
    rows = []
    for cells in zip(*(each.tolist() for each in found.values()), strict=True):
        row = unpack(dict(zip(names, cells, strict=True)))
        if row.get("values") is not None:
            row["values"] = row["values"].tolist()
        rows.append(row)
    return rows
