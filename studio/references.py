"""The references of a study: their scores, beside its points.

They are rows of the store like any other score, under a family of one model (`reference_study`), so
that no chart, front, slider or surface of the study's family takes them for points. Pages and
commands show them as they show what others measured (`studio.external`), with a mark and a word of
their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cache.blobs import Blobs
from engine.errors import BadInput
from engine.family.compatibility import Family, open_family
from engine.recipe import FrozenDict, Recipe, point_id, resolve, unmerged
from engine.scoring.referenced import unmeasured_on
from engine.study import Objective
from engine.study_reference import reference_study
from studio.external.points import External, Score, externals_of
from studio.remembered import keys_before
from studio.shared import once
from studio.workbench import Workbench

WORD = "reference"


@dataclass(frozen=True)
class Reference:
    """One reference, opened by its headers.

    Attributes:
        recipe: of its one model, in its own family.
        objectives: those that it can be measured on, checked.
        skipped: objective -> why it cannot.
    """

    name: str
    path: Path
    family: Family
    recipe: Recipe
    objectives: tuple[Objective, ...]
    skipped: dict[str, str]

    def payload(self) -> dict[str, Any]:
        """What the job "evaluate" takes to score it."""
        return {
            "reference": self.name,
            "recipes": [self.recipe.as_dict()],
            "objectives": [each.name for each in self.objectives],
        }


class References:
    """The references of the study that is open."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._kept: tuple[Any, ...] = ()
        self.all: dict[str, Reference] = {}
        self.refused: dict[str, BadInput] = {}
        for name in bench.study.references:
            try:
                self.all[name] = self._open(name)
            except BadInput as error:
                self.refused[name] = error

    def _open(self, name: str) -> Reference:
        bench = self._bench
        alone, model = reference_study(bench.study, name)
        family = open_family(alone.family)
        skipped = {}
        for each in bench.objectives:
            why = unmeasured_on(each, family.tokenizer, bench.family.tokenizer)
            if not why and each.chat and not family.has_chat_template:
                why = "it has no chat template"
            if why:
                skipped[each.name] = why
        kept = tuple(each for each in bench.objectives if each.name not in skipped)
        recipe = resolve(unmerged(model), family.names)
        path = bench.study.references[name]
        return Reference(name, path, family, recipe, kept, skipped)

    def rows(self, reference: Reference, split: str = "explore") -> dict[str, dict[str, Any]]:
        """Objective -> the score row of a reference."""
        bench = self._bench
        keys = keys_before(reference.family, reference.objectives, bench.store, bench.workspace)
        if keys is None:
            return {}
        family, prints, numerics = keys
        found = bench.store.scores(
            family, objectives=prints, split=split, numerics=numerics,
            point=point_id(reference.recipe, family),
        )  # fmt: skip
        return {row["objective"]: row for row in found}

    def values(self, name: str, objective: Objective, split: str = "explore") -> np.ndarray | None:
        """The values of a reference's score, float64 [rows]; None where it is not measured."""
        row = self.rows(self.all[name], split).get(objective.name) if name in self.all else None
        if row is None or not row.get("values"):
            return None
        return np.array([np.nan if each is None else each for each in row["values"]], dtype=float)

    def columns(
        self, names: Sequence[str], objective: Objective, blobs: Blobs
    ) -> dict[str, tuple[np.ndarray, tuple[str, ...] | None]]:
        """Of each of these that is measured on the objective: values, and answers if kept."""
        found = {}
        for name in names:
            values = self.values(name, objective)
            if values is not None:
                row = self.rows(self.all[name])[objective.name]
                text = blobs.get_text(row["texts"]) if row.get("texts") else None
                told = tuple(map(str, json.loads(text))) if text else None
                found[name] = values, told if told and len(told) == len(values) else None
        return found

    def shown(self) -> tuple[External, ...]:
        """Those with a score, as they are shown; the same object until rows came."""
        key = self._bench.store.version
        if not self._kept or self._kept[0] != key:
            found = tuple(each for each in map(self._external, self.all.values()) if each.scores)
            self._kept = key, found
        made: tuple[External, ...] = self._kept[1]
        return made

    def _external(self, reference: Reference) -> External:
        rows = self.rows(reference)
        scores = {
            each.name: Score(
                row["mean"], row["stderr"], row["n"], each.scorer, str(reference.path),
                row["family"], WORD, each.scorer, str(each.direction),
            )
            for each in reference.objectives
            if (row := rows.get(each.name)) is not None and row["mean"] is not None
        }  # fmt: skip
        ids = {row["point"] for row in rows.values()}
        return External(min(ids, default=""), reference.name, FrozenDict(scores), WORD)

    def lacking(self) -> list[Reference]:
        """Those that were not measured on each of their objectives."""
        return [
            each
            for each in self.all.values()
            if {one.name for one in each.objectives} - set(self.rows(each))
        ]


def references_of(bench: Workbench) -> References:
    """Those of the study that is open."""
    found: References = once(bench, WORD, lambda: References(bench))
    return found


def beside(bench: Workbench) -> tuple[External, ...]:
    """All that stands beside the study's points: its references, and what others measured."""
    shown = externals_of(bench).shown(bench.objectives)
    return (*references_of(bench).shown(), *shown) if bench.study.references else shown
