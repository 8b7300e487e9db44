"""A logit method's surface, measured at once: on texts that are given, the models run once for all
recipes (the job "fill"). It comes with the method's optima on likelihoods, which are remarked on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from engine.recipe import Recipe, find_method
from engine.scoring.registry import find_scorer
from studio.points.predicting import on_surface
from studio.points.view import Measured
from studio.task import Task
from studio.workbench import Workbench

POINTS = 256
"""Over the sliders."""

ALONG = 41
"""On the line through the recipe, along each slider."""


def objectives_of(bench: Workbench, recipe: Recipe) -> tuple[str, ...]:
    """The objectives on which a recipe's surface can be measured at once; mostly none."""
    method = find_method(recipe.method)
    if method.space != "logit" or not recipe.coefficients:
        return ()
    return tuple(each.name for each in bench.objectives if find_scorer(each.scorer).given)


def count(recipe: Recipe) -> int:
    """About how many points that is."""
    return POINTS + ALONG * len(recipe.coefficients)


def is_filled(bench: Workbench, measured: Measured, recipe: Recipe) -> bool:
    """Whether as many points of the surface as a design has are measured on these objectives."""
    rows, _ = on_surface(measured, recipe, bench.names)
    columns = [measured.column(name) for name in objectives_of(bench, recipe)]
    return int(np.isfinite(measured.mean[rows][:, columns]).all(axis=1).sum()) >= POINTS


def start(bench: Workbench, recipe: Recipe, session: str) -> Task:
    """Measure the surface around a recipe; what is measured already is not measured again."""
    payload = {
        "recipe": recipe.as_dict(),
        "points": POINTS,
        "along": ALONG,
        "objectives": list(objectives_of(bench, recipe)),
    }
    what = f"Measuring the surface of {recipe.method}: about {count(recipe)} points"
    return bench.submit(what, "fill", payload, session)


def take(bench: Workbench, session: str) -> None:
    """Remark on the optima that a job has found, once it is over."""
    task = bench.task(session)
    if task is None or task.status.state != "done":
        return
    say_best(bench, task.handle.result(0).get("best") or {})


def say_best(bench: Workbench, found: Mapping[str, str]) -> None:
    """Remark on points that are the best of their method: objective -> point."""
    known = {point: bench.remarks.of(point) for point in found.values()}
    said = {
        point: replace(known[point], best=name)
        for name, point in found.items()
        if known[point].best != name
    }
    if said:
        bench.remarks.say(said)


def optima_of(bench: Workbench, measured: Measured) -> dict[int, str]:
    """Row -> the objective on which it is known to be its method's best."""
    return {
        measured.row_of[point]: remark.best
        for point, remark in bench.remarks.all().items()
        if remark.best and point in measured.row_of
    }


def best_of(bench: Workbench, measured: Measured, recipe: Recipe) -> dict[str, int]:
    """Objective -> row of the point that is known to be its best on the recipe's surface."""
    rows = set(measured.like(recipe).tolist())
    found = optima_of(bench, measured)
    return {objective: row for row, objective in found.items() if row in rows}
