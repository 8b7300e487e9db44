"""The jobs "design" and "estimate": what a sweep would measure, and how long a point takes.

    design     designs ──► recipes             here, because Sobol points need torch
    estimate   a recipe a group ──► its rows, and the seconds of each step

An estimate is one measured point, not a guess: its scores are saved like any others.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.decoding.inputs import Tick
from engine.errors import Cancelled, bad
from engine.jobs.claiming import Hold, TakenOver, Turn, Turns
from engine.jobs.evaluating import Evaluation, Progress, checked_objectives, reason
from engine.jobs.models import Models, recipe_of, study_of
from engine.jobs.preparing import telling
from engine.jobs.served import Emit
from engine.recipe import Recipe
from engine.search.designs import design
from engine.study import Study
from engine.worker.messages import is_out_of_memory


def design_recipes(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Resolved recipes of designs, without opening a model.

    Args:
        payload: study: path; designs: list of {"method", "points", "strategy", "seed" (0),
            "parameters" ({})}.

    Returns:
        recipes: for each design its recipes, as mappings, in the order they are to be measured.

    Raises:
        BadInput: the study or a design cannot be used.
    """
    study = study_of(payload)
    found = []
    for each in _list(payload, "designs"):
        if not isinstance(each, Mapping) or not {"method", "points", "strategy"} <= set(each):
            raise bad("design", f"expected method, points and strategy, got {each!r}")
        tick()
        recipes = design(
            study,
            str(each["method"]),
            int(each["points"]),
            str(each["strategy"]),
            int(each.get("seed") or 0),
            each.get("parameters"),
        )
        found.append([recipe.as_dict() for recipe in recipes])
    return {"recipes": found}


@dataclass
class Timing:
    """Seconds of one point.

    Attributes:
        prepare: once for all recipes of its structure: models loaded, the basis built.
        compose: for each recipe: the weights written, or nothing in logit space.
        objectives: name -> seconds of scoring, of the objectives that were missing.
        error: why no recipe of the group could be measured; None if one was.
    """

    prepare: float
    compose: float
    objectives: dict[str, float]
    error: str | None = None


def estimate_recipes(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Measure one recipe of each group and say how long it took; its rows are emitted.

    Args:
        payload: study; groups: lists of recipes, of which the first that can be scored is measured;
            objectives: names, all if none is given; have: ids of the rows that are there.

    Returns:
        timings: for each group {"prepare", "compose", "objectives", "error"}, in seconds.

    Raises:
        BadInput: the study, its family or its data cannot be used.
    """
    study = study_of(payload)
    objectives = checked_objectives(study, payload.get("objectives"))
    groups = _list(payload, "groups")
    with models.families.use(study.family, tick) as opened:
        have = frozenset(payload.get("have") or ())
        evaluation = Evaluation(models.blobs, opened, objectives, "explore", have)
        timings = []
        for index, group in enumerate(groups):
            progress = Progress(emit, index, len(groups), index)
            emit("progress", {"done": index, "total": len(groups)})
            timings.append(_measured(evaluation, study, group, progress, tick))
        emit("progress", {"done": len(groups), "total": len(groups)})
        return {"timings": [vars(each) for each in timings]}


def _measured(
    evaluation: Evaluation, study: Study, group: Sequence[Any], progress: Progress, tick: Tick
) -> Timing:
    """The timing of the first recipe of a group that can be scored and is not being scored
    elsewhere."""
    recipes = [recipe_of(data, evaluation.opened, study) for data in group]
    missing = {place: evaluation.missing(each) for place, each in enumerate(recipes)}
    said = (
        "other processes measured it in the meantime: estimate again"
        if group
        else "no recipe was given"
    )
    if recipes and not any(missing.values()):
        return _timed(
            evaluation,
            recipes[0],
            progress,
            Turn(0, frozenset(), Hold(frozenset(), progress.emit, tick)),
        )
    for turn in Turns(missing, progress.emit, tick):
        recipe = recipes[turn.key]
        try:
            return _timed(evaluation, recipe, progress, turn)
        except TakenOver:
            continue
        except Cancelled:
            raise
        except Exception as error:
            turn.fail()
            said = reason(error)
            progress.emit("result", {"row": evaluation.failure(recipe, error)})
            if is_out_of_memory(error):
                raise
    return Timing(0.0, 0.0, {}, said)


def _timed(evaluation: Evaluation, recipe: Recipe, progress: Progress, turn: Turn) -> Timing:
    """Composed twice: what the second time does not need again is preparation."""
    tick = turn.tick
    told = telling(evaluation.opened.composer, progress.emit, tick, progress.places)
    progress.emit("loading")
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        evaluation.opened.composer.compose(recipe, told)
        seconds.append(time.perf_counter() - start)
    first, second = seconds
    spent = {}
    for row in evaluation.rows(recipe, progress, tick, turn.granted):
        progress.emit("result", {"row": row})
        turn.measured(row["id"])
        spent[row["objective"]] = float(row["seconds"])
    return Timing(max(0.0, first - second), second, spent)


def _list(payload: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = payload.get(name)
    if not isinstance(found, Sequence) or isinstance(found, str) or not found:
        raise bad("job", f"it contains no {name}", f"Give a list of {name}.")
    return found
