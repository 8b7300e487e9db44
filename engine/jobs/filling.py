"""The job "fill": a logit method's surface on objectives of given texts, measured, not predicted.

design over the sliders ┐
lines through a recipe  ├─ one pass of the models (engine.jobs.together) ──► rows
optima of likelihoods   ┘  (engine.jobs.optimising; where there are any)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from engine.decoding.inputs import Tick
from engine.errors import BadInput, bad
from engine.jobs.evaluating import checked_objectives
from engine.jobs.measuring import evaluate_recipes
from engine.jobs.models import Models, study_of
from engine.jobs.optimising import find_best, has_optimum
from engine.jobs.served import Emit
from engine.recipe import Recipe, find_method, recipe_from_dict, resolve
from engine.scoring.registry import find_scorer
from engine.search.designs import DIGITS, design
from engine.study import Study


def fill_surface(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Measure many recipes of a method at once, and its optima; emits a row for each score.

    Args:
        payload: study: path; recipe: the mapping of one of the method, through which the lines go;
            points: over the sliders; along: on each line; objectives: names, on given texts.

    Returns:
        As `evaluate_recipes`, without points, and best: objective -> point id.

    Raises:
        BadInput: the method is none of logit space, or an objective is of texts that are written.
    """
    study = study_of(payload)
    recipe = resolve(recipe_from_dict(payload.get("recipe")), study.family.names)
    objectives = checked_objectives(study, payload.get("objectives"))
    for each in objectives:
        if not find_scorer(each.scorer).given:
            what = f"{each.name} is measured on texts that a recipe writes"
            raise bad("--objectives", what, "Sweep it instead.")
    if find_method(recipe.method).space != "logit" or not recipe.coefficients:
        raise bad("recipe", f"{recipe.method} has no surface that is measured at once")
    spread = design(
        study, recipe.method, int(payload["points"]), "sobol", parameters=recipe.parameters
    )
    along = lines(study, recipe, int(payload["along"]))
    recipes = [each.as_dict() for each in dict.fromkeys([recipe, *spread, *along])]
    names = [each.name for each in objectives]
    asked = {"study": payload["study"], "objectives": names}
    result = evaluate_recipes(models, {**asked, "recipes": recipes}, emit, tick)
    best = {}
    for each in objectives:
        if has_optimum(study, recipe, each):
            given = {"method": recipe.method, "parameters": dict(recipe.parameters)}
            found = find_best(models, {**asked, **given, "objective": each.name}, emit, tick)
            scored = {**asked, "recipes": [found["recipe"]]}
            best[each.name] = evaluate_recipes(models, scored, emit, tick)["points"][0]
    kept = {name: result[name] for name in ("errors", "family", "numerics", "objectives")}
    return {**kept, "best": best}


def lines(study: Study, recipe: Recipe, count: int) -> Iterator[Recipe]:
    """Recipes along each coefficient's slider, evenly, the others as in the recipe; on a simplex
    its share from 0 to 1, the others splitting the rest as they do."""
    method, names = find_method(recipe.method), study.family.names
    for name in recipe.coefficients:
        low, high = (0.0, 1.0) if method.simplex else study.slider_range(method, name)
        others = {k: v for k, v in recipe.coefficients.items() if k != name}
        total = math.fsum(others.values())
        if method.simplex and abs(total) < 1e-9:
            others, total = dict.fromkeys(others, 1.0), float(len(others))
        for step in range(count):
            value = low + (high - low) * step / max(1, count - 1)
            rest = {k: v * (1.0 - value) / total if method.simplex else v
                    for k, v in others.items()}  # fmt: skip
            rounded = {k: round(v, DIGITS) + 0.0 for k, v in {**rest, name: value}.items()}
            try:
                yield resolve(Recipe(method.name, rounded, recipe.parameters), names)
            except BadInput:
                continue  # of kinds that refuse a weight: there is no point there
