"""What the documents of `front` and `recommend` say of noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from engine.front.bounds import Bounds, sides_of
from engine.front.criteria import Criteria
from engine.front.noise import Places
from engine.front.pareto import Bools, Floats
from engine.front.preference import Range, ranges_of, scale_weights
from engine.front.sure import Sure, picked


class Sureties(Protocol):
    """What is read of a table (`engine.front.table.Table`)."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def maximize(self) -> Bools: ...
    @property
    def ids(self) -> Sequence[str]: ...
    @property
    def values(self) -> Floats: ...
    def select(self, names: Sequence[str] | None) -> Sureties: ...
    def sureness(self, rows: Places, every: bool) -> Sure | None: ...


RIVALS = 3
"""Other points that are said to win at times."""


def shares(ids: Sequence[str], found: Floats) -> dict[str, float | None]:
    """Id -> a share of draws; None where it is not known."""
    rounded = np.round(found, 4).tolist()
    return {
        name: None if math.isnan(each) else each for name, each in zip(ids, rounded, strict=True)
    }


def of_front(sure: Sure | None, ids: Sequence[str], bounds: Bounds) -> dict[str, Any]:
    """Each point's probability of being on the front, and of meeting each bound; null where no
    errors are known."""
    known: Sequence[Floats | None] = [None] * len(sides_of(bounds))
    if sure is not None:
        known = [sure.spread(found) for _, _, found in sure.meets(bounds)]
    return {
        "probability": None if sure is None else shares(ids, sure.front),
        "bounds": [
            {
                "name": name,
                "words": side.words,
                "bound": side.value,
                "probability": None if found is None else shares(ids, found),
            }
            for (name, side), found in zip(sides_of(bounds), known, strict=True)
        ],
    }


def of_pick(
    table: Sureties,
    rows: Places,
    pick: int,
    over: Sequence[str],
    weights: Mapping[str, float],
    ranges: Mapping[str, Range],
    bounds: Bounds,
    criteria: Criteria,
) -> dict[str, Any]:
    """How often the same point is picked, and which others are; null where no errors are known.

    Args:
        table: of all objectives.
        rows: those of its points that are chosen among; pick: a place among them.
        over: the objectives of the front.
    """
    named = {name for each in criteria.constraints for name, _ in each.coefficients}
    named |= set(criteria.utility.names if criteria.utility is not None else ())
    part = table.select([*over, *(name for name in table.names if name in named - set(over))])
    known = np.asarray(np.isfinite(part.values[rows]).all(axis=1))
    free = bool(bounds or criteria)  # then the pick need not be on the front of all points
    sure = part.sureness(rows[known], free) if known[pick] else None
    if sure is None:
        return {"share": None, "rivals": []}
    names = list(part.names)
    scale = dict(ranges_of(names, part.values[rows[known]], part.maximize)) | dict(ranges)
    asked = None if criteria.utility is not None else scale_weights(names, weights)
    found = sure.spread(
        picked(sure.drawn, names, part.maximize, asked, scale, bounds, criteria)
        if len(sure.rows)
        else np.empty(0)
    )
    ids = [part.ids[row] for row in rows[known].tolist()]
    said, own = shares(ids, found), part.ids[int(rows[pick])]
    order = np.argsort(-np.nan_to_num(found), kind="stable")[: RIVALS + 1].tolist()
    rivals = [ids[row] for row in order if ids[row] != own and found[row] > 0]
    return {
        "share": said[own],
        "rivals": [{"point": each, "share": said[each]} for each in rivals[:RIVALS]],
    }
