"""Texts of a job's recipes of logit space, written together before each of them has its turn.

    recipes that are next ── claimed together ── the models write for all ──► each in its turn:
                                                    (engine.scoring.ahead)    scored, no model runs

The first recipe goes by itself: it says how long one takes, and there is a point soon. How many are
next is bounded by that, and by the room in which what the models said is kept. What cannot be
written ahead is written in its own turn, as is all of it where this fails: no row depends on it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence

from engine.composed import ComposedModel
from engine.decoding.fusion import mixture_of
from engine.decoding.margin import CONTINUOUS
from engine.errors import Cancelled
from engine.jobs.claiming import MOST, TakenOver, Turn
from engine.jobs.evaluating import Evaluation, reason
from engine.recipe import Recipe
from engine.scoring.ahead import Plan, plan, write_texts
from engine.scoring.progress import ProgressNote
from engine.scoring.registry import find_scorer

log = logging.getLogger(__name__)

SECONDS = 120.0
"""That the turns of recipes that are written for together are to take, where they are more than
`FEWEST`."""

FEWEST = 4

ROOM = 1.5
"""How many times the share of distinct tokens may be what it was for the recipes before."""


class Ahead:
    """Of one job; `engine.jobs.claiming.Turns` asks it.

    Args:
        recipes: place in the job -> recipe.
        tell: emits the job's progress, with more beside it.
    """

    def __init__(
        self, evaluation: Evaluation, recipes: Mapping[int, Recipe], tell: Callable[..., None]
    ) -> None:
        self._evaluation = evaluation
        self._recipes = recipes
        self._tell = tell
        self._share = 1.0
        self._off = not any(find_scorer(each.scorer).generates for each in evaluation.objectives)
        self._seconds: dict[int, dict[str, float]] = {}

    def count(self, keys: Sequence[int], seconds: float) -> int:
        """How many of the next recipes are held together; 1 where nothing is written ahead.

        Args:
            keys: their places.
            seconds: that a recipe took, infinite where none had its turn yet.
        """
        if self._off or math.isinf(seconds):
            return 1
        able = 0
        while able < min(MOST, len(keys)) and self._continuous(self._recipes[keys[able]]):
            able += 1
        return max(1, min(able, max(FEWEST, int(SECONDS / max(seconds, 1e-9)))))

    def begin(self, turns: Sequence[Turn]) -> int:
        """Write for what was granted, before the first turn.

        Returns:
            how many of the turns are ready then, from the first on.
        """
        if self._off or len(turns) < 2:
            return 0
        try:
            return self._begin(turns)
        except TakenOver:
            return 0
        except Cancelled:
            raise
        except Exception as error:
            self._off = True
            log.info("texts of %d recipes are written one by one: %s", len(turns), reason(error))
            return 0

    def seconds(self, key: int) -> Mapping[str, float]:
        """Objective -> a recipe's part of the time that its texts took before its turn."""
        return self._seconds.pop(key, {})

    def _begin(self, turns: Sequence[Turn]) -> int:
        evaluation, composer = self._evaluation, self._evaluation.opened.composer
        plans: dict[object, Plan | None] = {}
        together: dict[object, list[tuple[Turn, ComposedModel]]] = {}
        ready, room = 0, 1.0
        for turn in turns:
            recipe = self._recipes[turn.key]
            if not self._continuous(recipe):
                break
            model = composer.compose(recipe, turn.tick)
            asked = [(n, each) for n, each in evaluation.ids(recipe).items() if n in turn.granted]
            objectives = tuple(each for _, each in reversed(asked))
            assert model.mixture is not None
            names = tuple(each.name for each in objectives)
            key: object = model.mixture.passes, model.mixture.kind == "linear", names
            if key not in plans:
                plans[key] = plan(model, objectives, evaluation.split)
            made = plans[key]
            if made is not None:
                room -= made.part(composer.prefixes, self._share)
                if room < 0.0:
                    break
                together.setdefault(key, []).append((turn, model))
            ready += 1
        several = {key: each for key, each in together.items() if len(each) > 1}
        for same, each in several.items():
            made = plans[same]
            assert made is not None
            self._write(made, each)
        return ready if several else 0

    def _write(self, made: Plan, several: Sequence[tuple[Turn, ComposedModel]]) -> None:
        turns, opened = [turn for turn, _ in several], self._evaluation.opened
        about = {
            "index": turns[0].key,
            "stage": f"writing the texts of {len(turns)} points together",
            "ahead": len(turns),
        }

        def tell(note: ProgressNote) -> None:
            self._tell(objective=note.objective, rows=note.done, of_rows=note.total, **about)

        parked = opened.parked_seconds
        seconds, fed = write_texts(
            made,
            [model for _, model in several],
            opened.composer.prefixes,
            tick=turns[0].tick,
            progress=tell,
        )
        self._share = min(1.0, ROOM * fed.distinct / max(1, fed.all))
        lost = opened.parked_seconds - parked
        for name, spent in seconds.items():
            own, lost = max(0.0, spent - lost), max(0.0, lost - spent)
            for turn in turns:
                self._seconds.setdefault(turn.key, {})[name] = own / len(turns)

    def _continuous(self, recipe: Recipe) -> bool:
        """Whether a recipe's texts may be decided from what is kept."""
        mixture = mixture_of(recipe, self._evaluation.opened.family.names)
        return mixture is not None and mixture.kind in CONTINUOUS
