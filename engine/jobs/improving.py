"""The job "improve": from a measured point to a better one, by derivatives (FERERO).

    likelihoods   their values and slopes from the models, merged or fused    ┐
    all others    from the surfaces through measured points                   ┴─► F, J ─► a step
    every place visited ── its likelihoods ──► rows, as any other point's
    where it ends ──────── every objective ──► rows: what surfaces promised is measured

With weights it descends the Chebyshev scalarisation by which the pick is chosen; with accepted
trades, or without weights, all objectives at once in the cone's sense; with a utility it climbs
along the front (`engine.search.climbing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from engine.bands import groups_of
from engine.compose import Composer
from engine.composed import ComposedModel
from engine.decoding.inputs import Tick
from engine.decoding.kept_logits import KeptLikelihood, bytes_kept
from engine.decoding.newton import Likelihood
from engine.errors import BadInput, bad
from engine.front.pareto import Floats
from engine.jobs.evaluating import checked_objectives
from engine.jobs.measuring import evaluate_recipes
from engine.jobs.models import Models, recipe_of, study_of
from engine.jobs.opened import OpenFamily
from engine.jobs.optimising import linear_weights, region_of
from engine.jobs.preparing import telling
from engine.jobs.served import Emit
from engine.recipe import Recipe, find_method, resolve
from engine.scoring.slopes import LIKELIHOODS, Loss, MergedSlopes, loss_of
from engine.search.climbing import climb
from engine.search.designs import DIGITS
from engine.search.ferero import Region, Visited, solve
from engine.search.surfaces import Surface
from engine.search.wanted import Wanted, told_of
from engine.study import Objective, Study

Slopes = Callable[[Floats], tuple[Floats, Floats]]
"""Coefficients [k] -> values [m] in own units, and derivatives [m, k]."""

MOST_KEPT = 1 << 30
"""Bytes of logits that are kept of one objective."""


def improve_recipe(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """A better recipe of a recipe's method and parameters, found and measured; emits a row for each
    score.

    Args:
        payload: study: path; recipe: where it begins; objectives: names of all that matter, of
            which compare: those of the front; ranges: name -> [best, worst]; weights: name ->
            weight, or null; constraints, cone, utility: texts; surfaces: name -> what
            `Surface.of_document` takes; few: name -> [points there, points needed] where there is
            no surface; steps: evaluations at most; measure: names scored where it ends.

    Returns:
        recipe; point: its id; why: "still", "stuck", "steps" or "infeasible"; evaluations;
        values: name -> value there, before rounding; by: name -> "models" or "surface"; violation;
        unmet: [{name, bound, closest}]; binding: constraints and ends of sliders that hold it;
        rates: [{of, in, rate}]: gaining 1 of the one costs so much of the other.

    Raises:
        BadInput: the recipe has no coefficients, or an objective neither a slope nor a surface.
    """
    study = study_of(payload)
    objectives = checked_objectives(study, payload["objectives"])
    maximize = [each.direction == "maximize" for each in objectives]
    wanted = Wanted([each.name for each in objectives], maximize, payload)
    steps = int(payload.get("steps") or 40)
    with models.families.use(study.family, tick) as opened:
        recipe = recipe_of(payload["recipe"], opened, study)
        method = find_method(recipe.method)
        names = list(recipe.coefficients)
        within = region_of(study, method, names)
        if method.simplex and groups_of(recipe.parameters) > 1:
            what = f"{method.name} in several bands of layers has several sums to keep"
            raise bad("recipe", what, "Begin at a point of one band.")
        start = np.array([recipe.coefficients[name] for name in names])
        start = start / start.sum() if method.simplex else start
        region = Region(np.array(within.low), np.array(within.high), method.simplex)
        told = telling(opened.composer, emit, tick)
        slopes, own = _slopes(opened, study, recipe, objectives, told)
        surfaces = _surfaces([each for each in wanted.names if each not in own], payload)

        def made(place: Floats) -> Recipe:
            rounded = [round(float(each), DIGITS) + 0.0 for each in place]
            coefficients = dict(zip(names, rounded, strict=True))
            return replace(recipe, coefficients=coefficients)

        def measured(place: Floats, what: Sequence[str]) -> Mapping[str, Any]:
            asked = {"study": payload["study"], "recipes": [made(place).as_dict()]}
            given = {**asked, "objectives": list(what), "have": payload.get("have")}
            return evaluate_recipes(models, given, Silent(emit), tick)

        def evaluate(place: Floats) -> tuple[Floats, Floats]:
            values = np.full(len(wanted.names), np.nan)
            rows = np.full((len(wanted.names), len(names)), np.nan)
            try:
                found, by = slopes(place) if own else (np.zeros(0), np.zeros((0, len(names))))
            except BadInput:  # weights that overflow: it steps back
                return values, rows
            for name, value, row in zip(own, found, by, strict=True):
                values[wanted.names.index(name)] = value
                rows[wanted.names.index(name)] = row
            for name, surface in surfaces.items():
                at = wanted.names.index(name)
                values[at], rows[at] = surface.at(place)
            if own:
                measured(place, own)
            return wanted.scaled(values, rows)

        def said(count: int, here: Visited) -> None:
            emit("progress", {"done": count, "total": steps, "stage": f"step {count}"})

        preference = wanted.preference()
        if wanted.criteria.utility is not None:
            found = climb(
                evaluate, start, region, preference, wanted.utility, steps=steps, told=said
            )
        else:
            found = solve(evaluate, start, region, preference, steps=steps, told=said)
        if not np.isfinite(found.values).all():
            raise bad("recipe", f"{recipe} has no finite score to begin from")
        ended = measured(found.place, payload.get("measure") or wanted.names)
        return {
            "recipe": made(found.place).as_dict(),
            "point": ended["points"][0],
            "errors": ended["errors"],
            "by": {name: "models" if name in own else "surface" for name in wanted.names},
            **told_of(found, wanted, names, region),
        }  # fmt: skip


class Silent:
    """Reports rows and claims of a job within a job, and not how far it is."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.claim = emit.claim

    def __call__(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        if kind == "result":
            self._emit(kind, data)

    @property
    def asked(self) -> int:
        return self._emit.asked


def _slopes(
    opened: OpenFamily, study: Study, recipe: Recipe, objectives: Sequence[Objective], tick: Tick
) -> tuple[Slopes, list[str]]:
    """Slopes of the likelihoods by the models, and their names; none where the method's weights or
    logits are not linear in its coefficients."""
    some = [each for each in objectives if each.scorer in LIKELIHOODS]
    if not some or recipe.prune is not None:
        return (lambda place: (np.zeros(0), np.zeros((0, len(place))))), []
    try:
        if find_method(recipe.method).space == "weight":
            merged = MergedSlopes(opened.composer, recipe, some, tick)
            return (lambda place: merged.at(place.tolist())), [each.name for each in some]
        return fused_slopes(opened.composer, recipe, some, tick), [each.name for each in some]
    except BadInput as error:
        if "not linear" not in str(error):  # weights, logits, or a loss against its slopes
            raise
        return (lambda place: (np.zeros(0), np.zeros((0, len(place))))), []


def fused_slopes(
    composer: Composer, recipe: Recipe, objectives: Sequence[Objective], tick: Tick
) -> Slopes:
    """Slopes of the likelihoods of a mixture of logits."""
    method, names = find_method(recipe.method), list(recipe.coefficients)

    def made(values: Sequence[float]) -> Recipe:
        given = dict(zip(names, values, strict=True))
        return resolve(Recipe(method.name, given, recipe.parameters), composer.family.names)

    weights = linear_weights(method, made, len(names), composer.family.names)
    model = composer.compose(made(weights.inside), tick)
    found = [_likelihood(model, loss_of(model, each), tick) for each in objectives]

    def slopes(place: Floats) -> tuple[Floats, Floats]:
        mixed = weights.start + weights.steps @ torch.tensor(place, dtype=torch.float64)
        values, rows = [], []
        for loss, at in found:
            value, gradient = at(mixed)
            value, row = loss.score(value, (weights.steps.t() @ gradient).numpy())
            values.append(value)
            rows.append(row)
        return np.array(values), np.array(rows)

    return slopes


def _likelihood(
    model: ComposedModel, loss: Loss, tick: Tick
) -> tuple[Loss, Callable[[torch.Tensor], tuple[float, torch.Tensor]]]:
    """A loss, and weights of the models -> its value and gradient: from kept logits where there is
    room for them, else by running the models."""
    texts = loss.contexts, loss.targets, loss.shares, loss.own
    if bytes_kept(model, loss.targets) <= MOST_KEPT:
        return loss, KeptLikelihood(model, *texts, tick=tick).at
    run = Likelihood(model, *texts, tick=tick)
    return loss, lambda weights: run.at(weights)[:2]


def _surfaces(names: Sequence[str], payload: Mapping[str, Any]) -> dict[str, Surface]:
    """The surfaces of these objectives; raises `BadInput` where there is none."""
    given, few = payload.get("surfaces") or {}, payload.get("few") or {}
    for name in names:
        if name not in given:
            have, need = few.get(name) or (0, 1)
            raise bad(
                f"objective {name}",
                f"{have} of the {need} points of this method that a surface needs are measured, "
                "and its slopes cannot be had from the models",
                "Sweep the method first.",
            )
    return {name: Surface.of_document(given[name]) for name in names}
