"""Why this one: what limits the pick, and what it gains and gives up against its neighbours."""

from __future__ import annotations

import math

import numpy as np

from engine.front.bounds import Bounds
from engine.front.criteria import NONE, Criteria
from engine.front.decide import neighbours, trade
from engine.front.expression import Expression
from engine.scoring.registry import SHARE
from studio.decide.noise import Known, chances, leads, met
from studio.decide.picking import Pick
from studio.decide.preference import Preference
from studio.points.numbers import number, share_text
from studio.points.view import Axis, Measured

SURE = 1.96
"""Standard errors from which a difference is more than noise, at 95 %."""

ERRORS = (
    "± is one standard error of the difference. It is conservative: it treats the two as if they "
    "had answered different prompts, although they answered the same ones."
)
PAIRED = "± is one standard error of the difference, paired: both answered the same prompts."

RIVALS = 2
"""Other points that are said to be picked at times."""


def _error(measured: Measured, row: int, column: int) -> float:
    """Standard error of a score, NaN if there is none; from the interval if a proportion has
    none above 0."""
    error = float(measured.stderr[row, column])
    interval = float(measured.high[row, column] - measured.low[row, column])
    return interval / (2 * SURE) if not error > 0 and math.isfinite(interval) else error


def difference(
    measured: Measured,
    axis: Axis,
    row: int,
    other: int,
    better: float,
    paired: tuple[float, bool] | None = None,
) -> str:
    """How much better or worse a point is than another on an objective, in its own units.

    Args:
        better: by how much it is better; below 0 it is worse.
        paired: standard error of the paired difference and whether it is within the noise; without
            it the two count as if they had answered different prompts.
    """
    if better == 0:
        return f"the same on {axis.name}"
    if paired is not None:
        error, lost = paired
    else:
        column = measured.column(axis.name)
        error = math.hypot(_error(measured, row, column), _error(measured, other, column))
        lost = abs(better) < SURE * error
    unit = "" if axis.unit in ("", SHARE) else f" {axis.unit}"
    text = f"{number(abs(better), error)}{unit} {'better' if better > 0 else 'worse'}"
    noise = " (within the noise)" if lost else ""
    return f"{text} on {axis.name}{noise}"


def _against(
    measured: Measured, pick: Pick, other: int, better: np.ndarray, known: Known | None
) -> tuple[str, bool]:
    """A sentence: another point's recipe, and what the pick gains and gives up compared with it;
    and whether its errors are paired."""
    found = {}
    if known is not None:
        place = {point: row for row, point in enumerate(known.ids)}
        rows = [place.get(measured.ids[row]) for row in (pick.row, other)]
        if rows[0] is not None and rows[1] is not None:
            found = leads(known, rows[0], rows[1])
    pairs = list(zip(pick.front.axes, better.tolist(), strict=True))
    pairs.sort(key=lambda pair: pair[1] <= 0)
    parts = [
        difference(measured, axis, pick.row, other, gain, found.get(axis.name))
        for axis, gain in pairs
    ]
    listed = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    return f"Against {measured.text(other)} it is {listed}.", bool(found)


def _limit(measured: Measured, pick: Pick, preference: Preference) -> str:
    """A sentence: the objective of the largest weighted term."""
    front = pick.front
    weights = np.array([preference.weights.get(name, 0.0) for name in front.names])
    weighted = weights * front.terms[pick.place]
    name = front.names[int(weighted.argmax())]
    if weighted.max() <= 0:
        return "It reaches the best of the scale on every weighted objective."
    scale = front.ranges[name]
    return (
        f"Its largest shortfall is on {name}: {measured.score_text(pick.row, name)}, on a scale "
        "from"
        f" {number(scale.nadir)} (worst) to {number(scale.ideal)} (best)."
    )


def _reason(pick: Pick, preference: Preference, bounded: bool) -> str:
    """A sentence: in what sense it is the best, and how that is measured."""
    count = len(pick.front.rows)
    if pick.unmet:
        return "No point meets every bound; this one comes closest."
    within = " within the bounds" if bounded else ""
    if count == 1:
        return f"It is the only point on the front{within}."
    asked = {name: each for name, each in preference.weights.items() if each > 0}
    if len(asked) == 1:
        return f"It is the best of the {count} points on the front{within} on {next(iter(asked))}."
    weights = ", ".join(f"{name} {each:.2f}" for name, each in asked.items())
    return (
        f"Each of the {count} points on the front{within} falls short of the best on some "
        f"objective. With shortfalls multiplied by their weights ({weights}), this point's "
        "largest shortfall is the smallest."
    )


def utility_error(measured: Measured, utility: Expression, row: int) -> float:
    """Standard error of a utility at a point, to first order, the objectives' errors independent;
    NaN where a score has none."""
    slope = utility.slopes(measured.names, measured.mean[row])[1][0]
    columns = [measured.column(name) for name in utility.names]
    return math.hypot(*(slope[each] * _error(measured, row, each) for each in columns))


def utility_text(measured: Measured, utility: Expression, row: int) -> str:
    """A utility's value at a point with its standard error."""
    value = float(utility.at(measured.names, measured.mean[row])[0])
    error = utility_error(measured, utility, row)
    return number(value, error if error > 0 else None)


def why_useful(measured: Measured, pick: Pick, utility: Expression, bounded: bool) -> list[str]:
    """Plain sentences for a user who asks why this point has the largest utility."""
    rows = pick.front.rows
    found = utility.at(measured.names, measured.mean[rows])
    order = np.argsort(-np.where(np.isnan(found), -np.inf, found), kind="stable").tolist()
    within = " within the bounds" if bounded else ""
    said = [
        "No point meets every bound; this one comes closest."
        if pick.unmet
        else f"Its utility, {utility_text(measured, utility, pick.row)}, is the largest of the "
        f"{len(rows)} points on the front{within}."
    ]
    rest = [place for place in order if place != pick.place and not np.isnan(found[place])]
    if rest:
        row = int(rows[rest[0]])
        noise = SURE * math.hypot(
            utility_error(measured, utility, row), utility_error(measured, utility, pick.row)
        )
        near = " (within the noise)" if found[pick.place] - found[rest[0]] < noise else ""
        next_best = utility_text(measured, utility, row)
        said.append(f"Next is {measured.text(row)}, with {next_best}{near}.")
    lost = int(np.isnan(found).sum())
    if lost:
        said.append(f"It has no value at {lost} of them.")
    return said


def why(
    measured: Measured,
    pick: Pick,
    preference: Preference,
    bounded: bool,
    known: Known | None = None,
) -> list[str]:
    """Plain sentences for a user who asks why it is this point and not the one beside it.

    Args:
        bounded: whether there are bounds, which leave only some points.
        known: how sure the front is; None where that is not known.
    """
    front = pick.front
    values = measured.mean[front.rows][:, [measured.column(name) for name in front.names]]
    found = [_reason(pick, preference, bounded), _limit(measured, pick, preference)]
    beside = neighbours(
        values,
        front.maximize,
        [front.ranges[name] for name in front.names],
        np.arange(len(front.rows)),
        pick.place,
        [preference.weights.get(name, 0.0) for name in front.names],
    )
    paired = True
    for place in beside:
        if place is not None:
            better = -trade(values, front.maximize, pick.place, place)
            other = int(front.rows[place])
            sentence, together = _against(measured, pick, other, better, known)
            paired &= together
            found.append(sentence)
    return [*found, PAIRED if paired else ERRORS] if len(found) > 2 else found


def unmet_words(found: Pick, worse: str = "") -> list[str]:
    """Which bounds and constraints the pick misses, and which values would meet them.

    Args:
        worse: how much worse scores are taken to be, in words.
    """
    if not found.unmet:
        return []
    missed = [
        f"{each.name} {each.words} {number(each.bound)}: the pick has {number(each.closest)}"
        f"{worse}."
        for each in found.unmet
    ]
    return ["No point meets every bound; the pick comes closest.", *missed]


def how_sure(
    measured: Measured,
    pick: Pick,
    preference: Preference,
    bounds: Bounds,
    known: Known | None,
    criteria: Criteria = NONE,
) -> list[str]:
    """Sentences: how often the same point is picked under the noise of the scores, which others
    are, and how sure it is to meet each bound; none where that is not known.

    Args:
        bounds: on any objectives.
    """
    if known is None or measured.ids[pick.row] not in known.ids:
        return []
    row = known.ids.index(measured.ids[pick.row])
    found = chances(known, pick.front.axes, preference, pick.front.ranges, bounds, criteria)
    said = []
    if np.isfinite(found[row]):
        order = np.argsort(-np.nan_to_num(found), kind="stable")[: RIVALS + 1].tolist()
        named = [
            each
            for each in order
            if each != row and found[each] >= 0.01 and known.ids[each] in measured.row_of
        ][:RIVALS]
        others = [
            f"{measured.text(measured.row_of[known.ids[each]])} {share_text(found[each])}"
            for each in named
        ]
        rest = float(np.nansum(found) - found[[row, *named]].sum())
        if rest >= 0.01:
            others.append(f"the rest {share_text(rest)}")
        rivals = f"; others: {', '.join(others)}" if others else ""
        said.append(f"Picked again with probability {share_text(found[row])}{rivals}.")
    said += [
        f"{name} is {words} with probability {share_text(chance)}."
        for name, words, chance in met(known, row, bounds)
    ]
    return said
