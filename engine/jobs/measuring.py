"""The jobs "evaluate" and "sweep": recipes measured one after another, each score by one process,
whoever else wants it.

    logit space, given texts ── all at once ──► rows         (engine.jobs.together)
    logit space, own texts ── written together, then each in its turn  (engine.jobs.ahead)
    recipe ── turn ── compose ── evaluate ──► row ──► emit, as soon as it is there
                 │        └─ fails ──► failure row, and the next recipe
                 └─ another process measured it ──► "there", which counts as done
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.decoding.inputs import Tick
from engine.errors import BadInput, Cancelled, bad
from engine.jobs.ahead import Ahead
from engine.jobs.claiming import TakenOver, Turn, Turns
from engine.jobs.evaluating import Evaluation, Progress, checked_objectives, reason
from engine.jobs.models import Models, recipe_of, study_of
from engine.jobs.served import Emit
from engine.jobs.together import measure_together
from engine.recipe import Recipe, point_id
from engine.scoring.data import read_rows
from engine.study import Split, Study
from engine.worker.messages import is_out_of_memory


def evaluate_recipes(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Score recipes on objectives; emits a result row for each score, and for each failure.

    Args:
        payload: study: path; recipes: list of mappings; objectives: names, all if none is given;
            split: "explore" (default) or "report"; have: ids of the rows that are there;
            limits: objective -> how many of its first rows are scored, instead of all: such a row
            is of the kind `engine.scoring.parts.KIND`; begun: point id -> objective -> such a row
            of fewer rows, which are not run again.

    Returns:
        points: the recipes' point ids in their order, null for one that is not a recipe of this
        family; errors: place in that list (as a string) -> why it failed; family; numerics;
        objectives: name -> fingerprint.

    Raises:
        BadInput: the study, its family or its data cannot be used, or no recipe can.
    """
    study = study_of(payload)
    objectives = checked_objectives(study, payload.get("objectives"))
    split = split_of(payload)
    for each in objectives:
        read_rows(each, split)
    recipes = payload.get("recipes")
    if not isinstance(recipes, Sequence) or isinstance(recipes, str) or not recipes:
        raise bad("job", "it contains no recipes", "Give a list of recipes.")
    with models.families.use(study.family, tick) as opened:
        evaluation = Evaluation(
            models.blobs, opened, objectives, split, frozenset(payload.get("have") or ()),
            payload.get("limits") or {}, payload.get("begun") or {},
        )  # fmt: skip
        asked = Recipes(recipes, evaluation, study, tick)
        asked.measure(emit, tick)
        asked.raise_if_all_bad()
        return {
            "points": asked.points,
            "errors": {str(index): reason(error) for index, error in asked.failures.items()},
            "family": opened.fingerprint,
            "numerics": str(opened.composer.numerics),
            "objectives": evaluation.fingerprints,
        }


def split_of(payload: Mapping[str, Any]) -> Split:
    split = payload.get("split", "explore")
    if split == "explore" or split == "report":
        return split
    raise bad("split", f"there is no split {split!r}", "Use explore or report.")


class Recipes:
    """The recipes that a job was given.

    Attributes:
        points: their point ids, None for one that is not a recipe of this family.
        failures: place -> why one could not be measured.
    """

    def __init__(
        self, given: Sequence[Any], evaluation: Evaluation, study: Study, tick: Tick
    ) -> None:
        self.total = len(given)
        self.points: list[str | None] = []
        self.failures: dict[int, Exception] = {}
        self._evaluation = evaluation
        self._resolved: dict[int, Recipe] = {}
        for index, data in enumerate(given):
            tick()
            try:
                recipe = recipe_of(data, evaluation.opened, study, self._where(index))
            except BadInput as error:
                self.points.append(None)
                self.failures[index] = error
                continue
            self.points.append(point_id(recipe, evaluation.opened.fingerprint))
            self._resolved[index] = recipe

    def measure(self, emit: Emit, tick: Tick) -> None:
        """Measure what is missing; emits a row for each score and each failure."""

        def tell(**more: Any) -> None:
            emit("progress", {"done": self.total - turns.left, "total": self.total, **more})

        def elsewhere(index: int) -> None:
            emit("there", {"point": self.points[index]})
            tell()

        missing = {
            index: set(self._evaluation.missing(recipe)) for index, recipe in self._resolved.items()
        }
        measure_together(self._evaluation, self._resolved, missing, self.total, emit, tick)
        ahead = Ahead(self._evaluation, self._resolved, tell)
        turns = Turns(
            missing,
            emit,
            tick,
            elsewhere,
            lambda: tell(waiting=turns.left),
            ahead,
        )
        tell()
        for turn in turns:
            tell(index=turn.key)
            progress = Progress(emit, self.total - turns.left, self.total, turn.key)
            self._measure(turn, progress, ahead.seconds(turn.key))
        emit("progress", {"done": self.total, "total": self.total})

    def _measure(self, turn: Turn, progress: Progress, before: Mapping[str, float]) -> None:
        recipe = self._resolved[turn.key]
        try:
            for row in self._evaluation.rows(recipe, progress, turn.tick, turn.granted, before):
                progress.emit("result", {"row": row})
                turn.measured(row["id"])
        except TakenOver:
            return
        except Cancelled:
            raise
        except Exception as error:
            turn.fail()
            self.failures[turn.key] = error
            progress.emit("result", {"row": self._evaluation.failure(recipe, error)})
            if is_out_of_memory(error):
                raise

    def raise_if_all_bad(self) -> None:
        """Bad input is the job's fault where no recipe is left, and a recipe's own otherwise."""
        wrong = [error for error in self.failures.values() if isinstance(error, BadInput)]
        if len(wrong) == self.total:
            raise BadInput(*(problem for error in wrong for problem in error.problems))

    def _where(self, index: int) -> str:
        return "recipe" if self.total == 1 else f"recipe {index + 1} of {self.total}"
