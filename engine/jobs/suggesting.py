"""The job "suggest": the next batch of a search, from all that is measured by then.

    suggest   an arm that has not begun ──► Sobol; else expected hypervolume gain a second
    cmaes     each method's next generation

What there is comes with the job: a worker keeps no points. The loop is the queue's
(studio.sweeps.searching): suggest, measure, suggest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from engine.decoding.inputs import Tick
from engine.errors import bad, unknown
from engine.jobs.evaluating import checked_objectives
from engine.jobs.models import Models, study_of
from engine.jobs.served import Emit
from engine.recipe import Recipe, find_method, resolve
from engine.scoring.registry import find_scorer
from engine.search.designs import design
from engine.search.evolving import DECIMALS, next_population, population, weighted
from engine.search.quadratic import Floats
from engine.search.strategies import GET_GP, SURROGATES
from engine.search.suggest import Arm, Draw, Goal, begun, by_quadratic, suggest
from engine.study import Study


def suggest_recipes(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """The recipes to measure next; no model is opened.

    Args:
        payload: study: path; objectives: names; strategy: "suggest" or "cmaes"; seed; count: of a
            batch at most; left: of the search; surrogate: of `SURROGATES`; weights: objective ->
            weight, for cmaes;
            scores: {"mean", "stderr", "n"} of the points known, rows of numbers or null;
            others: rows of those of no arm; ranges: objective -> [ideal, nadir, reference], null
            where there is none yet;
            arms: {"method", "parameters", "sums", "seconds", "rows", "places", "asked"} each:
            points of `scores` and where they stand, and the recipes asked for so far as
            [coefficients, row of `scores` or null]; own: how many of the rows are no unmerged
            model.

    Returns:
        recipes: as mappings; gain, noise: as of `Suggestion`, or null; start: whether the
        space-filling start goes on; why: where no recipe is left to ask for.

    Raises:
        BadInput: the study or a method cannot be used, or the surrogate is not installed.
    """
    study = study_of(payload)
    scores = {name: _floats(rows) for name, rows in payload["scores"].items()}
    arms = [_arm(study, each, scores) for each in payload["arms"]]
    count, seed = int(payload["count"]), int(payload["seed"])
    if payload["strategy"] == "cmaes":
        return _generations(study, payload, arms, scores["mean"])
    start = _start(study, payload, arms, int(payload["left"]), seed)
    if start:
        return _found(start, study, start=True)
    goals = _goals(study, payload)
    ready = [each for each in arms if np.isfinite(each.mean).all(axis=1).any()]
    if not ready or goals is None:
        return {**_found([], study), "why": "no point has a score on every objective"}
    done = sum(len(each["asked"]) for each in payload["arms"])
    found = suggest(
        ready,
        scores["mean"][list(payload["others"])],
        goals,
        count,
        (seed, done),
        _draw(str(payload["surrogate"])),
    )
    recipes = [_recipe(ready[arm], place) for arm, place in found.positions]
    why = "" if recipes else "no candidate is expected to add anything to the front"
    return {**_found(recipes, study), "gain": found.gain, "noise": found.noise, "why": why}


def _found(recipes: Sequence[Recipe], study: Study, start: bool = False) -> dict[str, Any]:
    resolved = [resolve(each, study.family.names) for each in recipes]
    given = [each.as_dict() for each in dict.fromkeys(resolved)]
    return {"recipes": given, "gain": None, "noise": None, "start": start, "why": ""}


def _recipe(arm: Arm, place: Sequence[float]) -> Recipe:
    return Recipe(arm.method, dict(zip(arm.names, place, strict=True)), arm.parameters)


def _floats(rows: Sequence[Sequence[float | None]]) -> Floats:
    return np.array(
        [[np.nan if each is None else each for each in row] for row in rows], dtype=float
    )


def _arm(study: Study, given: Mapping[str, Any], scores: Mapping[str, Floats]) -> Arm:
    spec = find_method(str(given["method"]), "--method")
    names = spec.coefficient_names(study.family.names, given["parameters"])
    if not names:
        raise bad("--method", f"{spec.name} has no coefficients to sweep")
    rows = np.array(given["rows"], dtype=np.intp)
    tried = [each for each, _ in given["asked"]]
    mean, stderr, n = (scores[name][rows] for name in ("mean", "stderr", "n"))
    return Arm(
        spec.name,
        dict(given["parameters"]),
        tuple(names),
        np.array([study.slider_range(spec, name) for name in names]),
        int(given["sums"]),
        np.array(given["places"], dtype=float).reshape(len(rows), len(names)),
        mean,
        stderr,
        n,
        float(given["seconds"]),
        np.array(tried, dtype=float).reshape(len(tried), len(names)),
    )


def _start(
    study: Study, payload: Mapping[str, Any], arms: Sequence[Arm], count: int, seed: int
) -> list[Recipe]:
    """The Sobol points of arms that have too few to compete, in turns, those not asked for yet."""
    queues = []
    for arm, given in zip(arms, payload["arms"], strict=True):
        lacking = begun(arm) - max(len(given["asked"]), int(given["own"]))
        if lacking > 0:
            spread = design(study, arm.method, begun(arm), "sobol", seed, arm.parameters)
            asked = {tuple(map(float, place)) for place, _ in given["asked"]}
            left = [each for each in spread if tuple(each.coefficients.values()) not in asked]
            queues.append(left[-lacking:])
    turns = max(map(len, queues), default=0)
    return [each[turn] for turn in range(turns) for each in queues if turn < len(each)][:count]


def _goals(study: Study, payload: Mapping[str, Any]) -> list[Goal] | None:
    found = []
    for each in checked_objectives(study, payload["objectives"]):
        scorer, ranges = find_scorer(each.scorer), payload["ranges"].get(each.name)
        if ranges is None:
            return None
        ideal, nadir, reference = map(float, ranges)
        up, scale = each.direction == "maximize", abs(ideal - nadir) or 1.0
        found.append(Goal(each.name, up, scorer.link, scorer.least, scorer.exact, reference, scale))
    return found


def _draw(surrogate: str) -> Draw:
    if surrogate not in SURROGATES:
        raise unknown("--surrogate", "surrogate", surrogate, SURROGATES)
    if surrogate == "quadratic":
        return by_quadratic
    if find_spec("botorch") is None:
        raise bad("--surrogate", "BoTorch is not installed", GET_GP)
    from engine.search.gp import by_processes

    return by_processes


def _generations(
    study: Study, payload: Mapping[str, Any], arms: Sequence[Arm], mean: Floats
) -> dict[str, Any]:
    """The next generation of each method that has begun as many as the others, or fewer."""
    names = list(payload["objectives"])
    ranges = [payload["ranges"].get(name) for name in names]
    if any(each is None for each in ranges):
        if any(given["asked"] for given in payload["arms"]):
            return {**_found([], study), "why": "no point has a score on every objective"}
        ranges = [[1.0, 0.0, 0.0]] * len(names)  # nothing is measured: the first needs none
    ideal, nadir = np.array(ranges, dtype=float)[:, :2].T
    given = payload["weights"] or dict.fromkeys(names, 1.0)
    weights = np.array([float(given.get(name, 0.0)) for name in names])
    if weights.sum() <= 0.0 or (weights < 0.0).any():
        raise bad("--weight", "the weights of the objectives chosen are not above 0")
    ages = [len(each["asked"]) // population(len(arm.names))
            for arm, each in zip(arms, payload["arms"], strict=True)]  # fmt: skip
    found = []
    for arm, each, age in zip(arms, payload["arms"], ages, strict=True):
        if age > min(ages):
            continue
        known = [np.full(len(names), np.nan) if row is None else mean[row]
                 for _, row in each["asked"]]  # fmt: skip
        sums = weighted(
            np.array(known).reshape(len(known), len(names)), ideal, nadir, weights / weights.sum()
        )
        asked = (tuple(round(float(value), DECIMALS) + 0.0 for value in place)
                 for place, _ in each["asked"])  # fmt: skip
        told = dict(zip(asked, sums, strict=True))
        places = next_population(arm.ranges, arm.simplex, told, int(payload["seed"]))
        found += [_recipe(arm, place) for place in places.tolist()]
    return {**_found(found, study), "why": "" if found else "the evolution has converged"}
