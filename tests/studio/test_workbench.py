"""The door to store and engine, over the toy engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import BadInput
from engine.family.fingerprint import family_fingerprint
from engine.recipe import METHODS, Recipe, resolve
from engine.scoring.objectives import objective_fingerprint
from studio.opening import read_study
from studio.task import WorkerState
from studio.workbench import Workbench
from tests.app_fixtures import ROOT, until, whole
from tests.pages import toy
from ui import opened


def recipe(bench: Workbench, helpful: float, terse: float) -> Recipe:
    c = {"helpful": helpful, "terse": terse}
    return resolve(Recipe("task_arithmetic", c), bench.names)


def test_opening_a_study_scores_the_models_as_they_are(bench: Workbench) -> None:
    measured = bench.measured()
    assert [str(each) for each in measured.recipes] == ["base", "target", "helpful", "terse"]
    assert all(measured.complete(row) for row in range(4))
    assert bench.opened is not None and bench.opened.numerics == toy.NUMERICS


def test_models_scored_before_are_not_scored_again(bench: Workbench) -> None:
    again = Workbench(
        bench.study, bench.objectives, bench.family, bench.workspace,
        bench.store, bench.executor,
    )  # fmt: skip
    until(lambda: again.advance() or again.opened is not None)
    again.advance()
    assert again.task("singles") is None
    assert len(again.measured()) == 4


def test_points_measured_before_are_known_while_the_engine_still_starts(
    bench: Workbench, home: Path
) -> None:
    for file in bench.family.base.path.parent.rglob("*.safetensors"):
        os.utime(file, (1e9, 1e9))  # files just written are not remembered
    family = family_fingerprint(bench.family, home)
    row = toy.score_rows(recipe(bench, 0.5, 0.5), bench.study)[0]
    fingerprint = objective_fingerprint(bench.objectives[0], bench.family.tokenizer.hash)
    bench.store.append([row | {"family": family, "objective_fingerprint": fingerprint}])
    again = Workbench(
        bench.study, bench.objectives, bench.family, home, bench.store, bench.executor
    )
    assert again.opened is None and again.worker().name == "starting"
    assert again.measured().recipes == (recipe(bench, 0.5, 0.5),)
    again.advance()
    assert again.task("open") is None, "the page that shows them is drawn first"
    again.advance()
    assert again.task("open") is not None


def test_an_evaluation_becomes_a_point(bench: Workbench) -> None:
    wanted = recipe(bench, 0.5, 0.25)
    task = bench.evaluate([wanted], "Scoring", "here")
    task.handle.result(20)
    measured = bench.measured()
    row = measured.row_of[bench.point_id(wanted)]
    assert measured.mean[row, 0] == pytest.approx(0.5 + 0.15 - 0.025)
    assert bench.task("here") is task
    assert bench.have([wanted]) == [
        row["id"] for row in bench.store.scores(toy.FAMILY, point=measured.ids[row])
    ]


def test_a_score_without_a_finite_value_is_there_and_not_measured_again(bench: Workbench) -> None:
    beyond, partly = recipe(bench, 0.5, 0.75), recipe(bench, 0.75, 0.5)
    rows = toy.score_rows(beyond, bench.study)
    rows = [row | {"mean": None, "error": "beyond a float"} for row in rows]
    first, *others = toy.score_rows(partly, bench.study)
    bench.store.append([*rows, first | {"mean": None, "error": "beyond a float"}, *others])
    assert len(bench.have([beyond])) == len(rows) == len(bench.have([partly]))
    assert bench.have([recipe(bench, 0.25, 0.25)]) == []


def test_a_stopped_worker_says_why_it_ended_and_not_what_a_job_said_last(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = bench.evaluate([recipe(bench, 0.1, 0.9)], "Scoring", "here")
    task.handle.cancel()
    until(lambda: task.status.over)
    monkeypatch.setattr(bench.executor, "state", lambda: "stopped")
    assert bench.worker() == WorkerState("failed", "the worker ended")
    monkeypatch.setattr(bench.executor, "ended", lambda: "the worker was killed")
    assert bench.worker() == WorkerState("failed", "the worker was killed")


def test_points_of_another_process_appear_at_the_next_look(bench: Workbench) -> None:
    from cache.store import Store

    wanted = recipe(bench, 1.0, 1.0)
    before = bench.measured()
    other = Store(bench.workspace, None)
    try:
        other.append(toy.score_rows(wanted, bench.study))
    finally:
        other.close()
    assert bench.measured() is before
    bench.advance()
    assert bench.point_id(wanted) in bench.measured().row_of


def test_a_failed_recipe_is_counted_and_the_rest_stays(bench: Workbench) -> None:
    bad = recipe(bench, toy.REFUSED, 0.0)
    result = bench.evaluate([bad], "Scoring", "here").handle.result(20)
    assert result["errors"] == {"0": "the logits are not finite"}
    measured = bench.measured()
    assert dict(measured.failures) == {bench.point_id(bad): "the logits are not finite"}
    assert len(measured) == 4


def test_a_study_the_engine_refuses_says_why_and_can_be_tried_again(
    home: Path, service: toy.Service
) -> None:
    service.opens = False
    bench = opened.connect()
    until(lambda: bench.advance() or bench.worker().name == "failed")
    assert "holds NaN" in bench.worker().reason
    service.opens = True
    bench.restart()
    until(lambda: bench.advance() or whole(bench, 4))
    assert bench.worker().name in ("ready", "busy")


def test_studies_that_are_opened_at_once_all_open(
    bench: Workbench, study: Path, service: toy.Service
) -> None:
    """As after a restart, when tabs on several studies come back while the worker still starts."""
    texts = [study.read_text().replace("name: facts", f"name: facts{k}") for k in range(3)]
    service.pause = 0.4
    busy = bench.evaluate([recipe(bench, 0.1, 0.2)], "Scoring", "here")
    until(lambda: busy.status.state == "running")
    benches = []
    for k, text in enumerate(texts):
        path = study.with_name(f"study{k}.yaml")
        path.write_text(text)
        benches.append(Workbench(*read_study(path), bench.workspace, bench.store, bench.executor))
    for each in benches:
        each.advance()
    assert [each.worker().name for each in benches] == ["starting"] * 3
    busy.handle.cancel()
    until(lambda: all([each.advance() or each.opened for each in benches]))
    assert not any(each.worker().reason for each in benches)


def test_an_opening_that_was_cancelled_is_asked_for_again_and_no_failure_of_the_worker(
    bench: Workbench, service: toy.Service
) -> None:
    service.pause = 0.4
    busy = bench.evaluate([recipe(bench, 0.1, 0.2)], "Scoring", "here")
    until(lambda: busy.status.state == "running")
    bench.restart()
    opening = bench.task("open")
    assert opening is not None
    opening.handle.cancel()
    until(lambda: opening.status.over)
    assert bench.worker() == WorkerState("starting")
    busy.handle.cancel()
    until(lambda: bench.advance() or bench.opened is not None)


def test_adapters_leave_as_adapters_only_by_task_arithmetic(bench: Workbench) -> None:
    assert not bench.adapter_only(recipe(bench, 1.0, 0.5))
    assert not bench.adapter_only(resolve(Recipe("single", {}, {"model": "base"}), bench.names))


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
        "import ui.frame, ui.recipe, ui.jobs, studio.export.exports, studio.charts.tradeoff\n"
        "import pages.panels.models.objective_form, pages.panels.models.open_form\n"
        "import studio.points.vectors, studio.study_editor, studio.modelling\n"
        "import engine.jobs.local, cache.store\n"
        "print([m for m in ('torch', 'transformers', 'peft') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_only_a_sum_of_adapters_can_leave_as_one(bench: Workbench) -> None:
    """Of every method with every coefficient of its own, such as logit fusion's `base`."""
    for method in METHODS.values():
        names = method.coefficient_names(bench.names) if method.takes_coefficients else []
        parameters = {} if names else {"model": "helpful"}
        recipe = resolve(Recipe(method.name, dict.fromkeys(names, 0.5), parameters), bench.names)
        assert not bench.adapter_only(recipe)
    alone = resolve(Recipe("task_arithmetic", {"terse": 0.5}), bench.names)
    assert bench.adapter_only(alone)  # terse is an adapter, helpful a whole checkpoint
    bands = {"terse@1": 0.5, "terse@2": 1.0}
    by_depth = resolve(Recipe("task_arithmetic", bands, {"groups": 2}), bench.names)
    assert bench.adapter_only(by_depth)
    mixed = resolve(
        Recipe("task_arithmetic", bands | {"helpful@2": 1.0}, {"groups": 2}), bench.names
    )
    assert not bench.adapter_only(mixed)
