"""The job "export": checkpoints, adapters and decoding folders out.

An export measures the report split, which no slider has seen: once, because its rows are saved like
any other. An export that succeeded is a row too, of the kind "export": the app and the shell share
one history.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.decoding.inputs import Tick
from engine.errors import ParetoscopeError, bad
from engine.export.card import CardScore, Papers, papers_kind
from engine.export.directory import recording_in
from engine.export.plan import plan_export
from engine.export.point import check_export, export_point
from engine.jobs.claiming import TakenOver, Turns
from engine.jobs.evaluating import Evaluation, Progress, checked_objectives
from engine.jobs.models import Models, recipe_of, study_of
from engine.jobs.opened import OpenFamily
from engine.jobs.preparing import telling
from engine.jobs.reported import shown_score
from engine.jobs.served import Emit
from engine.recipe import Recipe, point_id
from engine.scoring.data import has_rows
from engine.scoring.objectives import copies_notes, seen_by_others
from engine.study import Objective, Study

log = logging.getLogger(__name__)


def export_recipe(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Write a recipe as a checkpoint, an adapter or a folder that decodes.

    Args:
        payload: study, recipe, out: a directory that does not exist or is empty; adapter
            (False); scores: those on the report split that are there already, as `reported` gives
            them. The others are measured here, and their rows emitted; so is, at the end, the row
            of the export itself.

    Returns:
        out, files, verified, max_logit_difference, point.

    Raises:
        BadInput: the study, the recipe or the output cannot be used.
        ParetoscopeError: the disk is full, or a verification failed.
    """
    study = study_of(payload)
    out = _path(payload, "out")
    with models.families.use(study.family, tick) as opened:
        recipe = recipe_of(payload.get("recipe"), opened, study)
        adapter = bool(payload.get("adapter", False))
        check_export(recipe, opened.family, out, adapter=adapter)
        known = {each["objective"]: CardScore(**each) for each in payload.get("scores") or ()}
        measured = _report(models, study, recipe, opened, known, emit, tick)
        papers = Papers(
            study=study.name,
            family=opened.family,
            recipe=recipe,
            kind=papers_kind(recipe, adapter),
            numerics=str(opened.composer.numerics),
            point=point_id(recipe, opened.fingerprint),
            fingerprints=opened.models,
            scores=measured,
            cautions=_cautions(study),
        )
        now = {"stage": "writing and verifying"}
        emit("progress", now)
        emit("loading")
        with recording_in(models.workspace):
            told = telling(opened.composer, emit, tick, now)
            exported = export_point(opened.composer, papers, out, adapter=adapter, tick=told)
        result = {
            "out": str(exported.out),
            "files": list(exported.files),
            "verified": True,  # or nothing would have appeared
            "max_logit_difference": exported.max_logit_difference,
            "point": papers.point,
        }
        emit("result", {"row": _record(papers, opened.fingerprint, result)})
        return result


def _record(papers: Papers, family: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """The row that says what was written where; its `id` is new each time."""
    out = Path(result["out"])
    plan = plan_export(papers.family, papers.recipe, adapter=papers.kind == "adapter")
    spec = papers.family.spec
    return {
        "kind": "export",
        "id": uuid.uuid4().hex,
        "at": time.time(),
        "study": papers.study,
        "family": family,
        "recipe": papers.recipe.as_dict(),
        "form": papers.kind,
        "bytes": sum((out / name).stat().st_size for name in result["files"]),
        "rank": plan.rank,
        "asked": plan.asked,
        "beside": [
            {
                "name": name,
                "path": str(spec.path_of(name)),
                "base": str(spec.base) if papers.family.models[name].is_adapter else None,
            }
            for name in plan.beside
        ],
        **result,
    }


def _path(payload: Mapping[str, Any], name: str) -> Path:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise bad(name, f"expected a path, got {value!r}")
    return Path(value).expanduser().absolute()


def _report(
    models: Models,
    study: Study,
    recipe: Recipe,
    opened: OpenFamily,
    known: Mapping[str, CardScore],
    emit: Emit,
    tick: Tick,
) -> list[CardScore]:
    """The recipe's scores on the report split, of the objectives that hold rows back."""
    held = _held_back(checked_objectives(study, None))
    missing = [each for each in held if each.name not in known]
    found = dict(known)
    if missing:
        evaluation = Evaluation(models.blobs, opened, missing, "report", frozenset())
        directions = {each.name: str(each.direction) for each in held}
        for row in _rows(evaluation, recipe, emit, tick):
            emit("result", {"row": row})
            for name, fingerprint in evaluation.fingerprints.items():
                if fingerprint == row["objective_fingerprint"]:
                    found[name] = CardScore(
                        name, row["scorer"], directions[name], "report", shown_score(row)
                    )
        if len(found) < len(held):
            raise ParetoscopeError(
                "Another process has just scored this point on the held-back rows. Nothing was "
                "written. Export it again: its scores are now available."
            )
    return [found[each.name] for each in held]


def _cautions(study: Study) -> list[str]:
    """What the card says of the rows: which another objective explored, which are copies. Where the
    files lie is nobody's business there."""
    cautions = seen_by_others(study)
    for each in checked_objectives(study, None):
        for note in copies_notes([each]):
            for path in (each.data, each.report_data):
                note = note.replace(f"{path}", path.name) if path is not None else note
            cautions.append(note)
    for note in cautions:
        log.warning("%s", note)
    return cautions


def _rows(
    evaluation: Evaluation, recipe: Recipe, emit: Emit, tick: Tick
) -> Iterator[dict[str, Any]]:
    """The rows that nobody else measures."""
    for turn in Turns({0: evaluation.missing(recipe)}, emit, tick):
        try:
            for row in evaluation.rows(recipe, Progress(emit, 0, 1), turn.tick, turn.granted):
                yield row
                turn.measured(row["id"])
        except TakenOver:
            continue


def _held_back(objectives: Sequence[Objective]) -> list[Objective]:
    held = []
    for each in objectives:
        if has_rows(each, "report"):
            held.append(each)
        else:
            log.warning("%s has no held-back rows", each.name)
    return held
