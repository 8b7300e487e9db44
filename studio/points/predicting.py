"""Predictions for an unmeasured recipe from the points of its method. Pure; no widget.

    Measured ── points of one method and its parameters ──► a Surrogate an objective ──► mean, band
             └─ unmerged models, where they lie on the method's surface

Surfaces are fitted once for the points there are and go with them; then a recipe is answered in a
fraction of a millisecond. They are of one method under one set of parameters: another parameter is
another surface.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from engine.bands import groups_of, plain
from engine.recipe import Names, Recipe, find_method, resolve
from engine.scoring.registry import find_scorer
from engine.search.surrogate import (
    Surrogate,
    TooFew,
    constant,
    features,
    fill,
    fit,
    informative,
    parameters_needed,
)
from engine.study import Objective, Study
from studio.points.places import shape_of
from studio.points.view import Measured
from studio.shared import once


def anchor(recipe: Recipe, model: str, names: Names | None = None) -> tuple[float, ...] | None:
    """Where a model as it is lies on the surface of a recipe's method and parameters.

    Args:
        recipe: resolved; its own coefficients do not matter.
        model: base, target or an expert.
        names: of the family; without it nothing is taken for granted about a target.

    Returns:
        One number a coefficient, or None if the model is not on that surface.
    """
    if recipe.prune is not None:  # no unmerged model is pruned
        return None
    method = find_method(recipe.method)
    if method.space == "weight" and names is not None and model in names.own_words:
        return None  # merged weights read the family's words
    found = method.corners
    alone = names is not None and not names.has_target
    zero = "base" if found.zero == "target" and alone else found.zero
    if model == zero:
        return (0.0,) * len(recipe.coefficients)
    strength = recipe.parameters.get("strength", 1.0)
    one = alone if found.one == "alone" else found.one
    if not one or model not in map(plain, recipe.coefficients) or strength == 0.0:
        return None
    return tuple((plain(name) == model) / strength for name in recipe.coefficients)


def sums_of(recipe: Recipe) -> int:
    """Sums of coefficients of which only the proportions matter: one a band of layers, where the
    method knows only proportions."""
    return find_method(recipe.method).simplex * groups_of(recipe.parameters)


def on_surface(
    measured: Measured, recipe: Recipe, names: Names | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the points on the recipe's surface, and where they lie, float64 [k, coefficients]."""
    own, places = measured.like(recipe), measured.places_like(recipe)
    singles = np.flatnonzero(measured.singles).tolist()
    models = {row: str(measured.recipes[row].parameters.get("model")) for row in singles}
    found = {row: anchor(recipe, model, names) for row, model in models.items()}
    anchors = {row: place for row, place in found.items() if place is not None}
    if not anchors:
        return own, places
    return (
        np.concatenate([own, np.array(list(anchors), dtype=np.int64)]),
        np.concatenate([places, np.array(list(anchors.values()))]),
    )


def _fitted(
    measured: Measured, objective: Objective, recipe: Recipe, names: Names | None
) -> Surrogate | TooFew:
    column, scorer = measured.column(objective.name), find_scorer(objective.scorer)
    if scorer.exact:
        own = measured.like(recipe)[(measured.places_like(recipe) != 0.0).all(axis=1)]
        values = np.unique(measured.mean[own, column])
        values = values[np.isfinite(values)]
        if len(values) == 1:  # it jumps where a model drops out, and is the same everywhere else
            return constant(tuple(recipe.coefficients), float(values[0]), len(own), sums_of(recipe))
    rows, places = on_surface(measured, recipe, names)
    try:
        return fit(
            tuple(recipe.coefficients),
            places,
            measured.mean[rows, column],
            link=scorer.link,
            count=measured.n[rows, column],
            stderr=measured.stderr[rows, column],
            simplex=sums_of(recipe),
            least=scorer.least,
        )
    except TooFew as error:
        return error.with_traceback(None)  # kept with the points: it holds no frame


def surfaces(
    measured: Measured, objectives: Iterable[Objective], recipe: Recipe, names: Names | None = None
) -> dict[str, Surrogate | TooFew]:
    """Objective -> its surface over the coefficients of a recipe's method, or why there is none.

    Of the unmerged models only those count that lie exactly on that surface.

    Args:
        objectives: checked ones; the study's.
        recipe: resolved; its method and parameters say which surface.
        names: of the family, from which it is known whether it has a target.

    Returns:
        Nothing for a method without coefficients.
    """
    if not recipe.coefficients:
        return {}
    objectives = tuple(objectives)
    shape = shape_of(recipe), tuple(recipe.coefficients), names is not None and names.has_target
    key = ("surfaces", *shape, names is None, tuple(each.name for each in objectives))

    def make() -> dict[str, Surrogate | TooFew]:
        return {each.name: _fitted(measured, each, recipe, names) for each in objectives}

    found: dict[str, Surrogate | TooFew] = once(measured, key, make)
    return dict(found)


def predict(
    measured: Measured, objectives: Iterable[Objective], recipe: Recipe, names: Names | None = None
) -> dict[str, tuple[float, float, float]]:
    """Objective -> (mean, low, high of the 95 % model band) at a recipe.

    An objective without a surface is not in it; `too_few` says what is missing. Nor is one that is
    known only where every coefficient counts, where one is 0. Arguments as for `surfaces`.
    """
    place = [list(recipe.coefficients.values())]
    found = {}
    for name, surface in surfaces(measured, objectives, recipe, names).items():
        if isinstance(surface, Surrogate) and not (surface.inside and 0.0 in place[0]):
            at = surface.predict(place)
            found[name] = float(at.mean[0]), float(at.low[0]), float(at.high[0])
    return found


def trust(
    measured: Measured, objectives: Iterable[Objective], recipe: Recipe, names: Names | None = None
) -> dict[str, tuple[float | None, bool]]:
    """Objective -> (share of the points that a band without them caught, None if none can be left
    out; whether the recipe lies outside the points), of what `predict` predicts."""
    place = [list(recipe.coefficients.values())]
    return {
        name: (surface.calibration, bool(surface.outside(place)[0]))
        for name, surface in surfaces(measured, objectives, recipe, names).items()
        if isinstance(surface, Surrogate) and not (surface.inside and 0.0 in place[0])
    }


def too_few(
    measured: Measured, objectives: Iterable[Objective], recipe: Recipe, names: Names | None = None
) -> tuple[int, int] | None:
    """(independent positions there, positions needed) of the objective that has fewest; None if
    each has a surface. Arguments as for `surfaces`."""
    found = surfaces(measured, objectives, recipe, names).values()
    return min(((each.have, each.need) for each in found if isinstance(each, TooFew)), default=None)


def missing_recipes(
    measured: Measured,
    objectives: Sequence[Objective],
    recipe: Recipe,
    study: Study,
    names: Names,
) -> list[Recipe]:
    """The points to measure so that each objective gets a surface; none where each has one.

    First points that are there but lack a score of these objectives, then new ones within the
    slider ranges. The same points give the same answer; after a failure other new ones are tried
    where there is a choice.

    Raises:
        BadInput: the study's ranges hold only mixtures that the method refuses.
    """
    if too_few(measured, objectives, recipe, names) is None:
        return []
    method = find_method(recipe.method)
    labels = tuple(recipe.coefficients)
    sums = sums_of(recipe)
    need = parameters_needed(len(labels), sums)
    rows, places = on_surface(measured, recipe, names)
    columns = [measured.column(each.name) for each in objectives]
    whole = np.isfinite(measured.mean[rows][:, columns]).all(axis=1)
    partly = np.flatnonzero(~whole)
    again = partly[informative(places[whole], places[partly], need, sums)]
    known = np.concatenate([places[whole], places[again]])
    found = [measured.recipes[row] for row in rows[again].tolist()]

    have = int(np.linalg.matrix_rank(features(known, sums))) if len(known) else 0
    ranges = [study.slider_range(method, name) for name in labels]
    new = fill(ranges, known, need - have, len(measured.failures), sums)
    for row in new.tolist():
        mixture: Mapping[str, float] = dict(zip(labels, row, strict=True))
        found.append(resolve(replace(recipe, coefficients=mixture), names))
    return found
