"""Recipes of logit space that are measured together before the others have their turn: on texts
that are given the models run once for all of them (`engine.scoring.sweeping`).

    recipes × objectives that qualify ── claim all ── models once ──► rows, an objective at a time
                                            └─ cannot be ──► each in its own turn, as any other
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping, Sequence

from engine.decoding.inputs import Tick
from engine.errors import Cancelled
from engine.jobs.claiming import Hold, TakenOver
from engine.jobs.evaluating import Evaluation, Progress
from engine.jobs.served import Emit
from engine.recipe import Recipe, find_method
from engine.scoring.registry import find_scorer
from engine.worker.messages import is_out_of_memory

log = logging.getLogger(__name__)


def measure_together(
    evaluation: Evaluation,
    recipes: Mapping[int, Recipe],
    missing: MutableMapping[int, set[str]],
    total: int,
    emit: Emit,
    tick: Tick,
) -> None:
    """Measure what can be together; emits a row for each score.

    Args:
        recipes: place in the job -> recipe.
        missing: place -> ids of the scores it lacks; those that are measured are taken out.
        total: recipes of the job.
    """
    sharing = _sharing(evaluation, recipes, missing)
    if not sharing:
        return
    wanted = {name for each in sharing.values() for name in each}
    granted = emit.claim([wanted], tick).granted
    hold = Hold(granted, emit, tick)
    same: dict[str, list[int]] = {}
    for place, recipe in recipes.items():
        same.setdefault(evaluation.point(recipe), []).append(place)
    done = sum(not each for each in missing.values()) + total - len(missing)
    for names, places in _alike(evaluation, recipes, sharing, granted).items():
        objectives = [each for each in evaluation.objectives if each.name in names]
        progress = Progress(emit, done, total, places[0])
        chosen = [recipes[place] for place in places]
        try:
            for row in evaluation.swept_rows(chosen, objectives, progress, hold.tick):
                emit("result", {"row": row})
                hold.left.discard(row["id"])
                for place in same[row["point"]]:
                    missing[place].discard(row["id"])
        except TakenOver:
            return
        except Cancelled:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            log.info("%d recipes are measured one by one: %s", len(chosen), error)


def _sharing(
    evaluation: Evaluation, recipes: Mapping[int, Recipe], missing: Mapping[int, set[str]]
) -> dict[int, list[str]]:
    """Place -> ids of the missing scores that may be measured together; of two recipes at least."""
    found = {}
    seen: set[str] = set()
    for place, recipe in recipes.items():
        if find_method(recipe.method).space != "logit" or recipe.unmerged is not None:
            continue
        ids = evaluation.ids(recipe)
        names = [name for name in missing[place] if find_scorer(ids[name].scorer).given]
        if names and seen.isdisjoint(names):  # a recipe that is given twice is measured once
            found[place] = names
            seen.update(names)
    return found if len(found) > 1 else {}


def _alike(
    evaluation: Evaluation,
    recipes: Mapping[int, Recipe],
    sharing: Mapping[int, Sequence[str]],
    granted: frozenset[str],
) -> dict[frozenset[str], list[int]]:
    """Names of objectives -> places of the recipes that lack just these, several at least."""
    found: dict[frozenset[str], list[int]] = {}
    for place, ids in sharing.items():
        objectives = evaluation.ids(recipes[place])
        names = frozenset(objectives[each].name for each in ids if each in granted)
        if names:
            found.setdefault(names, []).append(place)
    return {names: places for names, places in found.items() if len(places) > 1}
