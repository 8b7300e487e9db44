"""Improve from here: what the job "improve" is asked, and what it found in words. Pure; no widget.

pick + weights, bounds, criteria ──► payload ──► the worker (engine.jobs.improving) ──► sentences
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.front.bounds import Bounds, sides_of
from engine.front.criteria import Criteria
from engine.front.preference import Range, ranges_of
from engine.recipe import Recipe
from engine.search.surfaces import document
from engine.search.surrogate import Surrogate, TooFew
from studio.points.numbers import number
from studio.points.predicting import surfaces
from studio.points.view import Axis, Measured
from studio.workbench import Workbench

STEPS = 40
"""Evaluations of one run, at most."""


def payload(
    bench: Workbench,
    measured: Measured,
    recipe: Recipe,
    axes: Sequence[Axis],
    ranges: Mapping[str, Range],
    *,
    weights: Mapping[str, float] | None,
    bounds: Bounds,
    criteria: Criteria,
    steps: int = STEPS,
) -> dict[str, Any]:
    """What the job takes.

    Args:
        recipe: where it begins; resolved, with coefficients.
        axes: the objectives of the front.
        ranges: of these at least.
        weights: by objective; None where a utility or trades decide.
    """
    compare = [axis.name for axis in axes]
    limits = [
        f"`{name}` {'>=' if side.words == 'at least' else '<='} {side.value!r}"
        for name, side in sides_of(bounds)
    ]
    named = {*compare, *(name for name, _ in sides_of(bounds))}
    named |= {name for each in criteria.constraints for name in each.names}
    named |= set(criteria.utility.names) if criteria.utility is not None else set()
    objectives = [each for each in bench.objectives if each.name in named]
    known = surfaces(measured, objectives, recipe, bench.names)
    few = {k: [v.have, v.need] for k, v in known.items() if isinstance(v, TooFew)}
    ends = {each.name: _ends(measured, each.name, each.direction, ranges) for each in objectives}
    utility = criteria.utility
    return {
        "recipe": recipe.as_dict(),
        "objectives": [each.name for each in objectives],
        "compare": compare,
        "ranges": ends,
        "weights": None if weights is None else dict(weights),
        "constraints": [*limits, *map(str, criteria.constraints)],
        "cone": [str(each) for each in criteria.trades if {each.lost, each.gained} <= {*compare}],
        "utility": None if utility is None else utility.text,
        "surfaces": {k: document(v) for k, v in known.items() if isinstance(v, Surrogate)},
        "few": few,
        "steps": steps,
        "measure": [each.name for each in bench.objectives],
    }


def _ends(
    measured: Measured, name: str, direction: str | None, ranges: Mapping[str, Range]
) -> list[float]:
    """[best, worst] of an objective: its range, else of what is measured."""
    if name in ranges:
        return [ranges[name].ideal, ranges[name].nadir]
    values = measured.mean[:, measured.column(name)]
    values = values[np.isfinite(values)]
    if not len(values):
        return [0.0, 0.0]
    found = ranges_of([name], values, [direction == "maximize"])[name]
    return [found.ideal, found.nadir]


WHY = {
    "still": "no small move is better by what was asked",
    "stuck": "no step was better any more",
    "steps": "as many steps as were allowed",
    "infeasible": "what was asked cannot be met nearby: this is where it is missed least",
}
"""Why a run ended, in words."""


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What a run found, in words: why it ended, what binds, what cannot be met, exchange rates."""
    said = [f"Ended after {found['evaluations']} steps: {WHY[found['why']]}."]
    said += [
        f"Here 1 of {each['of']} costs {number(each['rate'])} of {each['in']}."
        for each in found["rates"]
    ]
    if found["binding"]:
        said.append(f"Held by: {', '.join(found['binding'])}.")
    said += [
        f"{each['name']} misses {number(each['bound'])}: the closest is {number(each['closest'])}."
        for each in found["unmet"]
    ]
    surfaces = [name for name, by in found["by"].items() if by == "surface"]
    if surfaces:
        said.append(f"Steps followed the predicted surface of {', '.join(surfaces)}; the point "
                    "itself is measured.")  # fmt: skip
    return said
