"""The door to store and engine, over the toy engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import BadInput
from engine.family.fingerprint import family_fingerprint
from engine.recipe import Recipe, resolve
from engine.scoring.objectives import objective_fingerprint
from pages.parts import state
from pages.parts.backend import Backend, WorkerState
from pages.parts.opening import read_study
from tests.pages import toy
from tests.pages.conftest import ROOT, until


def recipe(backend: Backend, helpful: float, terse: float) -> Recipe:
    c = {"helpful": helpful, "terse": terse}
    return resolve(Recipe("task_arithmetic", c), backend.names)


def test_opening_a_study_scores_the_models_as_they_are(backend: Backend) -> None:
    measured = backend.measured()
    assert [str(each) for each in measured.recipes] == ["base", "target", "helpful", "terse"]
    assert all(measured.complete(row) for row in range(4))
    assert backend.opened is not None and backend.opened.numerics == toy.NUMERICS


def test_models_scored_before_are_not_scored_again(backend: Backend) -> None:
    again = Backend(
        backend.study, backend.objectives, backend.family, backend.workspace,
        backend.store, backend.executor,
    )  # fmt: skip
    until(lambda: again.advance() or again.opened is not None)
    again.advance()
    assert again.task("singles") is None
    assert len(again.measured()) == 4


def test_points_measured_before_are_known_while_the_engine_still_starts(
    backend: Backend, home: Path
) -> None:
    for file in backend.family.base.path.parent.rglob("*.safetensors"):
        os.utime(file, (1e9, 1e9))  # files just written are not remembered
    family = family_fingerprint(backend.family, home)
    row = toy.score_rows(recipe(backend, 0.5, 0.5), backend.study)[0]
    fingerprint = objective_fingerprint(backend.objectives[0], backend.family.tokenizer.hash)
    backend.store.append([row | {"family": family, "objective_fingerprint": fingerprint}])
    again = Backend(
        backend.study, backend.objectives, backend.family, home, backend.store, backend.executor
    )
    assert again.opened is None and again.worker().name == "starting"
    assert again.measured().recipes == (recipe(backend, 0.5, 0.5),)


def test_an_evaluation_becomes_a_point(backend: Backend) -> None:
    wanted = recipe(backend, 0.5, 0.25)
    task = backend.evaluate([wanted], "Scoring", "here")
    task.handle.result(20)
    measured = backend.measured()
    row = measured.row_of[backend.point_id(wanted)]
    assert measured.mean[row, 0] == pytest.approx(0.5 + 0.15 - 0.025)
    assert backend.task("here") is task
    assert backend.have([wanted]) == [
        row["id"] for row in backend.store.scores(toy.FAMILY, point=measured.ids[row])
    ]


def test_a_score_without_a_finite_value_is_there_and_not_measured_again(backend: Backend) -> None:
    beyond, partly = recipe(backend, 0.5, 0.75), recipe(backend, 0.75, 0.5)
    rows = toy.score_rows(beyond, backend.study)
    rows = [row | {"mean": None, "error": "beyond a float"} for row in rows]
    first, *others = toy.score_rows(partly, backend.study)
    backend.store.append([*rows, first | {"mean": None, "error": "beyond a float"}, *others])
    assert len(backend.have([beyond])) == len(rows) == len(backend.have([partly]))
    assert backend.have([recipe(backend, 0.25, 0.25)]) == []


def test_a_stopped_worker_says_why_it_ended_and_not_what_a_job_said_last(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = backend.evaluate([recipe(backend, 0.1, 0.9)], "Scoring", "here")
    task.handle.cancel()
    until(lambda: task.status.over)
    monkeypatch.setattr(backend.executor, "state", lambda: "stopped")
    assert backend.worker() == WorkerState("failed", "the worker ended")
    monkeypatch.setattr(backend.executor, "ended", lambda: "the worker was killed")
    assert backend.worker() == WorkerState("failed", "the worker was killed")


def test_points_of_another_process_appear_at_the_next_look(backend: Backend) -> None:
    from cache.store import Store

    wanted = recipe(backend, 1.0, 1.0)
    before = backend.measured()
    other = Store(backend.workspace, None)
    try:
        other.append(toy.score_rows(wanted, backend.study))
    finally:
        other.close()
    assert backend.measured() is before
    backend.advance()
    assert backend.point_id(wanted) in backend.measured().row_of


def test_a_failed_recipe_is_counted_and_the_rest_stays(backend: Backend) -> None:
    bad = recipe(backend, toy.REFUSED, 0.0)
    result = backend.evaluate([bad], "Scoring", "here").handle.result(20)
    assert result["errors"] == {"0": "the logits are not finite"}
    measured = backend.measured()
    assert dict(measured.failures) == {backend.point_id(bad): "the logits are not finite"}
    assert len(measured) == 4


def test_a_study_the_engine_refuses_says_why_and_can_be_tried_again(
    home: Path, service: toy.Service
) -> None:
    service.opens = False
    backend = state.connect()
    until(lambda: backend.advance() or backend.worker().name == "failed")
    assert "holds NaN" in backend.worker().reason
    service.opens = True
    backend.restart()
    until(lambda: backend.advance() or len(backend.measured()) == 4)
    assert backend.worker().name in ("ready", "busy")


def test_adapters_leave_as_adapters_only_by_task_arithmetic(backend: Backend) -> None:
    assert not backend.adapter_only(recipe(backend, 1.0, 0.5))
    assert not backend.adapter_only(resolve(Recipe("single", {}, {"model": "base"}), backend.names))


def test_every_problem_of_a_study_is_said_at_once(study: Path, tmp_path: Path) -> None:
    text = study.read_text().replace("base: base", f"base: {study.parent / 'nowhere'}")
    text = text.replace("data/exact.jsonl", "data/gone.jsonl")
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(BadInput) as found:
        read_study(tmp_path / "study.yaml")
    whole = str(found.value)
    assert "nowhere" in whole and "gone.jsonl" in whole


def test_the_app_process_never_imports_torch() -> None:
    code = (
        "import sys\n"
        "from pages.parts import backend, components, controls, exports, figures, jobs, state\n"
        "from pages.parts import adding, modelling, objective_form, open_form, vectors\n"
        "import engine.run.local, cache.store\n"
        "print([m for m in ('torch', 'transformers', 'peft') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
