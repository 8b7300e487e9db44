"""The real service on a small family, over both executors."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cache.blobs import Blobs
from cache.rows import score_id
from cache.store import Store
from engine.compose import Composer
from engine.composed import ComposedModel
from engine.errors import BadInput, Cancelled, JobFailed
from engine.jobs.client import ConnectedExecutor
from engine.jobs.inline import InlineExecutor
from engine.jobs.local import LocalExecutor
from engine.jobs.service import Service
from engine.worker.messages import Job
from tests.engine.jobs.small import build_small_study, recipe, single

KINDS = {"inline": InlineExecutor, "local": LocalExecutor}


@pytest.fixture(scope="module")
def study(tmp_path_factory: Any) -> Path:
    return build_small_study(tmp_path_factory.mktemp("family"), adapter=True)


@pytest.fixture(scope="module", params=KINDS)
def bench(request: pytest.FixtureRequest, study: Path, tmp_path_factory: Any) -> Iterator[Bench]:
    workspace = tmp_path_factory.mktemp("workspace")
    bench = Bench(study, workspace)
    with KINDS[request.param](workspace, device="cpu", on_rows=bench.save) as bench.executor:
        yield bench


class Bench:
    def __init__(self, study: Path, workspace: Path) -> None:
        self.study = study
        self.workspace = workspace
        self.rows: list[dict[str, Any]] = []
        self.executor: ConnectedExecutor

    def save(self, rows: Any) -> None:
        self.rows.extend(rows)

    def job(self, kind: str, priority: str = "interactive", **payload: Any) -> Job:
        return Job(kind, {"study": str(self.study), **payload}, kind, priority)  # type: ignore[arg-type]

    def run(self, kind: str, **payload: Any) -> Any:
        self.rows.clear()
        return self.executor.submit(self.job(kind, **payload)).result(120)


def values(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[float]]:
    return {(row["point"], row["objective"]): row["values"] for row in rows}


def test_opening_says_how_scores_are_keyed(bench: Bench) -> None:
    opened = bench.run("open")
    assert opened["numerics"] == "cpu/float32/5"
    assert set(opened["objectives"]) == {"has", "loss", "cost"}
    assert opened["directions"] == {"has": "maximize", "loss": "minimize", "cost": "minimize"}
    assert opened["names"]["models"] == ["base", "helpful", "terse"]
    assert opened["memory"]["live_bytes"] > 0


def test_a_score_row_is_whole_and_its_texts_are_kept(bench: Bench) -> None:
    opened = bench.run("open")
    result = bench.run("evaluate", recipes=[recipe(helpful=0.5)], objectives=["has", "cost"])
    assert result["errors"] == {} and [row["objective"] for row in bench.rows] == ["has", "cost"]
    row, cost = bench.rows
    (point,) = result["points"]
    fingerprint = opened["objectives"]["has"]
    assert row["id"] == score_id(point, fingerprint, "explore", "cpu/float32/5")
    assert row["recipe"] == {
        "method": "task_arithmetic",
        "coefficients": {"helpful": 0.5, "terse": 0.0},
        "parameters": {"strength": 1.0},
    }
    assert row["family"] == opened["family"] and row["split"] == "explore"
    assert row["n"] == len(row["values"]) and row["seconds"] > 0 and row["tokens"] > 0
    texts = json.loads(Blobs(bench.workspace).get_text(row["texts"]))
    assert len(texts) == row["n"]
    assert cost["texts"] is None and cost["mean"] == 1.0 and cost["stderr"] is None


def test_only_what_is_missing_is_evaluated(bench: Bench) -> None:
    bench.run("evaluate", recipes=[recipe(helpful=0.25)], objectives=["has"])
    have = [row["id"] for row in bench.rows]
    bench.run("evaluate", recipes=[recipe(helpful=0.25), recipe(helpful=0.3)], have=have)
    assert [row["objective"] for row in bench.rows] == ["loss", "cost", "has", "loss", "cost"]
    assert not {row["id"] for row in bench.rows} & set(have)


def test_a_bad_recipe_of_several_is_said_and_the_rest_goes_on(bench: Bench) -> None:
    result = bench.run(
        "evaluate", recipes=[recipe(nobody=1), recipe(helpful=1.0)], objectives=["cost"]
    )
    assert result["points"][0] is None and "nobody" in result["errors"]["0"]
    assert [row["point"] for row in bench.rows] == [result["points"][1]]
    with pytest.raises(BadInput, match="nobody"):
        bench.run("evaluate", recipes=[recipe(nobody=1)])


def test_a_recipe_that_fails_is_a_row_and_the_rest_goes_on(bench: Bench) -> None:
    result = bench.run(
        "evaluate", recipes=[recipe(helpful=1e39), recipe(helpful=1.0)], objectives=["loss"]
    )
    assert list(result["errors"]) == ["0"]
    failure, score = bench.rows
    assert failure["kind"] == "failure" and failure["point"] == result["points"][0]
    assert failure["error"] == result["errors"]["0"]
    assert score["kind"] == "score"


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        ({"recipes": [single("base")], "objectives": ["lost"]}, "Did you mean loss"),
        ({"recipes": [single("base")], "split": "train"}, "Use explore or report"),
        ({"recipes": []}, "no recipes"),
        ({"recipes": [single("base")], "study": "/nowhere/study.yaml"}, "no such file"),
    ],
)
def test_what_cannot_be_done_is_said(bench: Bench, payload: dict[str, Any], what: str) -> None:
    with pytest.raises(BadInput, match=what):
        bench.run("evaluate", **payload)


def test_an_unknown_kind_of_job_is_refused(bench: Bench) -> None:
    with pytest.raises(BadInput, match="Did you mean evaluate"):
        bench.run("evaluat")


def test_generating_streams_and_ends_with_the_whole(bench: Bench) -> None:
    payload = {"recipe": recipe(helpful=0.5), "prompts": ["the quick", "a kind answer"]}
    handle = bench.executor.submit(bench.job("generate", **payload, max_new_tokens=20))
    result = handle.result(60)
    assert [each["prompt"] for each in result["outputs"]] == payload["prompts"]
    assert {k: v for k, v in enumerate(each["text"] for each in result["outputs"])} == dict(
        handle.status().texts
    )
    again = bench.run("generate", **payload, max_new_tokens=20)
    assert again == result
    stopped = bench.run(
        "generate", **payload, max_new_tokens=20, stop=[result["outputs"][0]["text"][3]]
    )
    assert (
        stopped["outputs"][0]["text"]
        == result["outputs"][0]["text"].split(result["outputs"][0]["text"][3])[0]
    )
    with pytest.raises(BadInput, match="prompt"):
        bench.run("generate", recipe=recipe(), prompts=[])
    with pytest.raises(BadInput, match="sampl"):
        bench.run("generate", **payload, temperature=-1)


def test_a_sweep_under_a_slider_scores_as_one_alone(bench: Bench) -> None:
    """Merged, unmerged and fused recipes on both sides, so that each live state is rewritten. The
    sweep has more recipes than it comes to: it is stopped once it has been interrupted enough."""
    kinds = [
        recipe(helpful=0.5),
        recipe(terse=0.7),
        {"method": "proxy_tuning", "coefficients": {"helpful": 1.0}},
        recipe(helpful=0.8, terse=0.2),
        {"method": "linear", "coefficients": {"base": 0.5, "helpful": 0.5}},
    ]
    more = [recipe(helpful=step / 300, terse=0.3) for step in range(300)]
    others = [
        recipe(helpful=1.2),
        recipe(terse=1.3),
        {"method": "pcb", "coefficients": {"helpful": 1.0}},
        {"method": "logit_fusion", "coefficients": {"helpful": 0.5, "terse": 0.5}},
    ]
    bench.run("sweep", recipes=kinds)
    alone = values(bench.rows)
    bench.run("evaluate", recipes=others)
    others_alone = values(bench.rows)
    bench.rows.clear()
    handle = bench.executor.submit(bench.job("sweep", "sweep", recipes=[*kinds, *more]))
    points = dict.fromkeys(point for point, _ in alone)
    for point, other in zip(points, [*others, others[0]], strict=True):
        bench.executor.submit(bench.job("evaluate", recipes=[other], objectives=["has"])).result(60)
        assert not handle.status().over, "it needs more recipes"
        while not {key for key in alone if key[0] == point} <= values(list(bench.rows)).keys():
            time.sleep(0.01)
            assert not handle.status().over, "it needs more recipes"
    handle.cancel()
    with pytest.raises(Cancelled):
        handle.result(60)
    known, found = {**alone, **others_alone}, values(bench.rows)
    assert alone.keys() <= found.keys()
    assert {key: known[key] for key in found if key in known} == {
        key: value for key, value in found.items() if key in known
    }


def test_a_running_sweep_is_cancelled(bench: Bench) -> None:
    recipes = [recipe(helpful=index / 1000) for index in range(1000)]
    handle = bench.executor.submit(bench.job("sweep", "sweep", recipes=recipes))
    while not handle.status().rows:
        time.sleep(0.01)
    handle.cancel()
    with pytest.raises(Cancelled):
        handle.result(30)


def test_exporting_measures_the_report_split_once(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = bench.run("export", recipe=recipe(helpful=0.5), out=str(out))
    assert result["verified"] and (out / "model.safetensors").exists()
    *rows, record = bench.rows
    assert {row["split"] for row in rows} == {"report"}
    assert record["kind"] == "export" and record["form"] == "merged" and record["beside"] == []
    assert record["out"] == str(out) and record["verified"] and record["point"] == result["point"]
    assert record["bytes"] == sum(each.stat().st_size for each in out.iterdir())
    scores = json.loads((out / "paretoscope.json").read_text())["scores"]
    assert {each["objective"]: each["mean"] for each in scores} == {
        row["objective"]: row["mean"] for row in rows
    }
    again = str(tmp_path / "again")
    said = ("objective", "scorer", "direction", "split")
    known = [
        {key: each.pop(key) for key in said} | {"score": each}
        for each in json.loads(json.dumps(scores))
    ]
    result = bench.run("export", recipe=recipe(helpful=0.5), out=again, scores=known)
    assert result["verified"] is True
    [second] = bench.rows  # no score is measured again
    assert second["kind"] == "export" and second["id"] != record["id"]
    assert json.loads((tmp_path / "again" / "paretoscope.json").read_text())["scores"] == scores
    with pytest.raises(BadInput):
        bench.run("export", recipe=recipe(), out=str(out))


def test_the_store_takes_the_rows(bench: Bench, tmp_path: Path) -> None:
    opened = bench.run("open")
    with (
        Store.open(tmp_path) as store,
        InlineExecutor(tmp_path, device="cpu", on_rows=store.append) as executor,
    ):
        result = executor.submit(bench.job("evaluate", recipes=[recipe(helpful=0.4)])).result(60)
        (point,) = store.points(
            opened["family"], opened["objectives"], "explore", opened["numerics"]
        )
    assert [point.id] == result["points"] and set(point.scores) == {"has", "loss", "cost"}


def test_memory_that_ran_out_in_a_recipe_is_a_row_and_ends_the_job(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = Composer.compose

    def hungry(self: Composer, made: Any, *rest: Any) -> ComposedModel:
        if made.coefficients.get("helpful") == 0.9:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return compose(self, made, *rest)

    monkeypatch.setattr(Composer, "compose", hungry)
    rows: list[dict[str, Any]] = []
    with InlineExecutor(tmp_path, device="cpu", on_rows=rows.extend) as executor:
        payload = {"study": str(study), "objectives": ["cost"]}
        recipes = [recipe(helpful=0.1), recipe(helpful=0.9), recipe(helpful=0.2)]
        handle = executor.submit(Job("evaluate", {**payload, "recipes": recipes}))
        with pytest.raises(JobFailed, match="out of memory"):
            handle.result(60)
        assert [row["kind"] for row in rows] == ["score", "failure"]
        executor.submit(Job("evaluate", {**payload, "recipes": recipes[2:]})).result(60)


def test_a_device_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="quantum"):
        Service(tmp_path, "quantum")


def test_numbers_that_overflow_are_a_reason_and_measured_once(bench: Bench) -> None:
    """Unmerged adapters and merged weights alike; what needs no forward has its score."""
    for given in (recipe(terse=1e25), recipe(helpful=1e25)):
        result = bench.run("evaluate", recipes=[given])
        assert result["errors"] == {}
        rows = {row["objective"]: row for row in bench.rows}
        assert rows["cost"]["mean"] is not None and rows["cost"].get("error") is None
        for name in ("has", "loss"):
            row = rows[name]
            assert (row["kind"], row["mean"], row["stderr"]) == ("score", None, None)
            assert (row["low"], row["high"]) == (None, None) and set(row["values"]) == {None}
            assert "overflow in model.layers." in row["error"]
        have = [row["id"] for row in bench.rows]
        bench.run("evaluate", recipes=[given], have=have)
        assert bench.rows == []
