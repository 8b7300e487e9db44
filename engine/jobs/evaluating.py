"""The jobs "open", "evaluate" and "sweep": recipes in, one score row an objective out.

    recipe ── compose ── evaluate ──► row ──► (texts to the blobs) ──► emit, as soon as it is there
       └─ fails ──► failure row, and the next recipe

Only what is missing is computed: a row's id says recipe, family, objective, split and numerics, and
the payload lists the ids that are there.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from cache.blobs import Blobs
from cache.rows import score_id
from engine.decoding.inputs import Tick
from engine.decoding.loop import Kept
from engine.errors import BadInput, ParetoscopeError, Problem
from engine.jobs.beginning import Beginnings
from engine.jobs.models import Models, study_of
from engine.jobs.neighbours import Neighbours
from engine.jobs.opened import OpenFamily
from engine.jobs.preparing import telling
from engine.jobs.served import Emit
from engine.recipe import Recipe, point_id
from engine.scoring import parts
from engine.scoring.evaluate import Metadata, ProgressNote, evaluate
from engine.scoring.objectives import copies_notes, objective_fingerprint, prepare
from engine.scoring.registry import check_objective
from engine.scoring.scores import Score
from engine.scoring.sweeping import evaluate_group, grouped
from engine.study import Objective, Split, Study
from engine.study_members import measured_of
from engine.worker.messages import is_out_of_memory

log = logging.getLogger(__name__)


def open_study(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Check a study as a whole, and determine its score keys.

    Args:
        payload: study: path of its file.

    Returns:
        family: fingerprint; objectives: name -> fingerprint; directions: name -> direction;
        numerics; memory: bytes needed and there; names: {"experts", "has_target", "models"};
        notes: what is allowed but worth knowing.
    """
    study = study_of(payload)
    with models.families.use(study.family, tick) as opened:
        tokenizer, names = opened.family.tokenizer, opened.family.names
        template = tokenizer is not None and tokenizer.chat_template is not None
        objectives = prepare(study, chat_template=template)
        return {
            "family": opened.fingerprint,
            "objectives": _fingerprints(objectives, opened),
            "directions": {each.name: each.direction for each in objectives},
            "numerics": str(opened.composer.numerics),
            "memory": dict(opened.memory),
            "names": {
                "experts": list(names.experts),
                "has_target": names.has_target,
                "models": list(names.models),
            },
            "notes": [*opened.family.notes, *copies_notes(objectives)],
        }


@dataclass(frozen=True)
class Progress:
    """Tells how far a recipe is, as one of several, of which others may be done before it."""

    emit: Emit
    done: int
    total: int
    index: int = 0

    def __call__(self, note: ProgressNote) -> None:
        rows = {"objective": note.objective, "rows": note.done, "of_rows": note.total}
        self.emit("progress", {**self.places, **rows})

    @property
    def places(self) -> dict[str, int]:
        """How far the job is, in recipes."""
        return {"done": self.done, "total": self.total, "index": self.index}


class Evaluation:
    """Objectives, split and numerics that recipes are scored on.

    Args:
        blobs: keeps the texts.
        have: ids of rows that are there already.
        limits: objective -> how many of its first rows are scored instead of all.
        begun: point id -> objective -> its row on fewer rows, which are not run again.
    """

    def __init__(
        self,
        blobs: Blobs,
        opened: OpenFamily,
        objectives: Sequence[Objective],
        split: Split,
        have: frozenset[str],
        limits: Mapping[str, int] = MappingProxyType({}),
        begun: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        self.opened = opened
        self.limits = limits
        self.objectives = parts.cut(measured_of(objectives), limits)
        self.split, self.have = split, have
        self.numerics = str(opened.composer.numerics)
        whole = _fingerprints([*objectives, *measured_of(objectives)], opened)
        self.fingerprints = parts.fingerprints(whole, limits)
        self._blobs = blobs
        self._begun = Beginnings(blobs, begun, whole, split, self.numerics)

    def point(self, recipe: Recipe) -> str:
        """A recipe's point id."""
        return point_id(recipe, self.opened.fingerprint)

    def missing(self, recipe: Recipe) -> list[str]:
        """Ids of the scores that a recipe lacks; objectives that say the same share one."""
        point = self.point(recipe)
        ids = dict.fromkeys(self._id(point, each) for each in self.objectives)
        return [each for each in ids if each not in self.have]

    def rows(
        self,
        recipe: Recipe,
        progress: Progress,
        tick: Tick,
        only: Collection[str],
        before: Mapping[str, float] = MappingProxyType({}),
    ) -> Iterator[dict[str, Any]]:
        """A score row for each id in `only`, as soon as it is there.

        Args:
            before: objective -> seconds that were spent for it before.
        """
        point = self.point(recipe)
        found = self.ids(recipe)
        missing = [each for name, each in reversed(found.items()) if name in only]
        composer = self.opened.composer
        progress.emit("loading")
        told = telling(composer, progress.emit, tick, progress.places)
        model = composer.compose(recipe, told)
        parked = self.opened.parked_seconds
        for objective, score, metadata in evaluate(
            model,
            missing,
            self.split,
            base=lambda: composer.module("base"),
            tick=tick,
            progress=progress,
            kept=Kept(composer.prefixes),
            others=Neighbours(composer, model, tick),
            begun=self._begun.of(point, missing),
        ):
            lost, parked = self.opened.parked_seconds - parked, self.opened.parked_seconds
            lost -= before.get(objective.name, 0.0)
            yield self._row(recipe, point, objective, score, metadata, lost)

    def ids(self, recipe: Recipe) -> dict[str, Objective]:
        """Id of each score of a recipe -> the objective, the first of those that say the same."""
        point = self.point(recipe)
        return {self._id(point, each): each for each in reversed(self.objectives)}

    def swept_rows(
        self,
        recipes: Sequence[Recipe],
        objectives: Sequence[Objective],
        progress: Progress,
        tick: Tick,
    ) -> Iterator[dict[str, Any]]:
        """The rows of recipes whose models run together, on objectives that qualify: of each
        objective those of all recipes that can be; no row of one that has to be scored by itself.

        Raises:
            Apart, Unsound, BadInput: as `engine.scoring.sweeping.evaluate_group`.
        """
        composer = self.opened.composer
        progress.emit("loading")
        told = telling(composer, progress.emit, tick, progress.places)
        models = [composer.compose(each, told) for each in recipes]
        for group in grouped(models):
            parked = self.opened.parked_seconds
            found = evaluate_group(group, objectives, self.split, tick=tick, progress=progress)
            for objective, scores, seconds, tokens in found:
                lost, parked = self.opened.parked_seconds - parked, self.opened.parked_seconds
                metadata = Metadata(
                    seconds=seconds, tokens=tokens, tokens_per_second=None, texts=None
                )
                for place, score in zip(group.places, scores, strict=True):
                    recipe = recipes[place]
                    point = self.point(recipe)
                    yield self._row(recipe, point, objective, score, metadata, lost / len(scores))

    def _id(self, point: str, objective: Objective) -> str:
        return score_id(point, self.fingerprints[objective.name], self.split, self.numerics)

    def _row(
        self,
        recipe: Recipe,
        point: str,
        objective: Objective,
        score: Score,
        metadata: Metadata,
        parked_seconds: float,
    ) -> dict[str, Any]:
        name = self._id(point, objective)
        return {
            "kind": parts.KIND if objective.name in self.limits else "score",
            "id": name,
            **self._common(recipe),
            "objective": objective.name,
            "objective_fingerprint": self.fingerprints[objective.name],
            "scorer": objective.scorer,
            **score.as_dict(),
            **({} if score.error is None else {"error": score.error}),
            "values": list(score.values),
            "seconds": max(0.0, metadata["seconds"] - parked_seconds),
            "tokens": metadata["tokens"],
            "texts": self._keep(name, metadata["texts"]),
            "at": time.time(),
            "versions": dict(_versions()),
        }

    def failure(self, recipe: Recipe, error: Exception) -> dict[str, Any]:
        """The row that says why a recipe has no score."""
        if not isinstance(error, ParetoscopeError):
            log.error("%s could not be scored", recipe, exc_info=error)
        return {
            "kind": "failure",
            **self._common(recipe),
            "error": reason(error),
            "at": time.time(),
        }

    def _common(self, recipe: Recipe) -> dict[str, Any]:
        return {
            "point": self.point(recipe),
            "recipe": recipe.as_dict(),
            "family": self.opened.fingerprint,
            "split": self.split,
            "numerics": self.numerics,
        }

    def _keep(self, name: str, texts: Sequence[str] | None) -> str | None:
        """The blob that holds the texts of a score; None if there are none, or no room."""
        key = f"texts/{name}"
        if texts is None or not self._blobs.put_text(key, json.dumps(list(texts))):
            return None
        return key


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    """What every row says it was measured with; looked up once, as it takes longer than a row."""
    return tuple((name, version(name)) for name in ("torch", "transformers"))


def checked_objectives(study: Study, names: Sequence[str] | None) -> list[Objective]:
    """Objectives by name, all if none is named, with direction and options filled in."""
    problems: list[Problem] = []
    found = []
    for each in study.select(list(names) if names else None):
        try:
            found.append(check_objective(each, study.path))
        except BadInput as error:
            problems.extend(error.problems)
    if problems:
        raise BadInput(*problems)
    return found


def reason(error: Exception) -> str:
    """What a failure says: the error's message, with its type where it is not one of ours."""
    if isinstance(error, ParetoscopeError):
        return str(error)
    if is_out_of_memory(error):
        return f"out of memory ({str(error) or type(error).__name__})"
    return f"{type(error).__name__}: {error}"


def _fingerprints(objectives: Sequence[Objective], opened: OpenFamily) -> dict[str, str]:
    return {each.name: objective_fingerprint(each, opened.tokenizer_hash) for each in objectives}
