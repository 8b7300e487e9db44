"""The job "improve" and `recommend --optimise`: from a measured point to a better one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.commands.report import REPORTS
from tests import headless
from tests.engine.jobs.small import build_small_study

OBJECTIVES = (
    {"name": "loss", "data": "rows.jsonl", "scorer": "nll"},
    {"name": "other", "data": "more.jsonl", "scorer": "nll"},
    {"name": "has", "data": "rows.jsonl", "scorer": "contains", "max_new_tokens": 3},
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("improving")
    path = build_small_study(root, adapter=True, objectives=OBJECTIVES)
    rows = [json.loads(line) for line in (root / "rows.jsonl").read_text("utf-8").splitlines()]
    more = [{**row, "targets": [row["prompt"].split()[0]]} for row in rows]
    (root / "more.jsonl").write_text("\n".join(map(json.dumps, more)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, study: Path) -> Path:
    place = tmp_path_factory.mktemp("home")
    for method, points in (("task_arithmetic", 2), ("logit_fusion", 7)):
        words = ("--method", method, "--points", points, "--executor", "inline")
        ran = headless.run(place, "sweep", study, *words)
        assert ran.code == 0, ran.err
    return place


def recommended(home: Path, study: Path, *words: object) -> dict[str, Any]:
    ran = headless.run(home, "recommend", study, *words)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


OVER = ("--objectives", "loss,other")


@pytest.mark.parametrize("method", ["task_arithmetic", "logit_fusion"])
def test_it_ends_at_a_measured_point_that_is_no_worse(home, study, method):
    found = recommended(
        home, study, *OVER, "--weight", "loss=1", "other=1", "--optimise", "--method", method,
        "--steps", 8,
    )  # fmt: skip
    run = found["optimised"]
    assert run["from"]["recipe"]["method"] == method == run["reached"]["recipe"]["method"]
    assert run["by"] == {"loss": "models", "other": "models"}
    assert 1 <= run["evaluations"] <= 8 and run["why"] in ("still", "steps", "stuck")
    before, after = run["from"]["scores"], run["reached"]["scores"]
    front = recommended(home, study, *OVER, "--weight", "loss=1", "other=1")
    assert front["point"]["id"] == found["point"]["id"]
    for name in ("loss", "other", "has"):  # the end is scored on every objective
        assert after[name]["mean"] is not None
    worse = [after[name]["mean"] - before[name]["mean"] for name in ("loss", "other")]
    assert min(worse) <= 1e-6
    # what was found by slopes is what was then measured, up to rounding to the checkpoint's dtype
    for name in ("loss", "other"):
        assert run["values"][name] == pytest.approx(after[name]["mean"], rel=0.02)
    assert "Ended after" in REPORTS["recommend"](found)


def test_every_place_visited_is_a_point(home, study):
    before = headless.run(home, "front", study, *OVER)
    found = recommended(
        home, study, *OVER, "--weight", "loss=3", "other=1", "--optimise", "--method",
        "task_arithmetic", "--steps", 6,
    )["optimised"]  # fmt: skip
    after = headless.run(home, "front", study, *OVER)
    grown = json.loads(after.out)["points"] - json.loads(before.out)["points"]
    assert 0 <= grown <= found["evaluations"] + 1
    assert found["reached"]["id"] in json.loads(after.out)["ranks"]


def test_what_cannot_be_met_is_named_with_the_closest_value(home, study):
    found = recommended(
        home, study, *OVER, "--weight", "loss=1", "--constraint", "loss + other <= 0.001",
        "--optimise", "--method", "logit_fusion", "--steps", 12,
    )["optimised"]  # fmt: skip
    [missed] = found["unmet"]
    assert missed["name"] == "loss + other" and missed["bound"] == 0.001
    assert missed["closest"] > 0.001 and found["violation"] > 0


def test_a_utility_is_climbed_and_never_falls(home, study):
    utility = ("--utility", "0 - loss - 0.2*other")
    found = recommended(
        home, study, *OVER, *utility, "--optimise", "--method", "logit_fusion", "--steps", 10
    )
    run = found["optimised"]
    worth = [
        -each["scores"]["loss"]["mean"] - 0.2 * each["scores"]["other"]["mean"]
        for each in (run["from"], run["reached"])
    ]
    assert worth[1] >= worth[0] - 1e-6
    assert found["utility"]["mean"] >= worth[1] - 1e-9


def test_surfaces_stand_in_for_what_has_no_slope(home, study):
    found = recommended(
        home, study, "--objectives", "loss,has", "--weight", "loss=1", "has=1", "--optimise",
        "--method", "logit_fusion", "--steps", 8,
    )["optimised"]  # fmt: skip
    assert found["by"] == {"loss": "models", "has": "surface"}
    assert found["reached"]["scores"]["has"]["mean"] is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--optimise", "--method", "pcb"), "no point of pcb is measured"),
        (("--method", "linear"), "Add --optimise"),
        (("--steps", "3"), "Add --optimise"),
    ],
)
def test_what_cannot_be_done_is_told(home, study, words, said):
    ran = headless.run(home, "recommend", study, "--weight", "loss=1", *words)
    assert ran.code == 2 and said in ran.err
