"""Coefficients by depth on the command line: generate, evaluate, sweep, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import headless
from tests.families import FamilyFiles, build_tied_family

OBJECTIVES = [{"name": "pick", "data": "data/choice.jsonl", "scorer": "choice", "limit": 2}]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files: FamilyFiles = build_tied_family(tmp_path_factory.mktemp("bands"))
    return files.study("helpful", objectives=OBJECTIVES, name="bands")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def recipe(place: Path, **recipe: Any) -> Path:
    place.write_text(json.dumps({"method": "task_arithmetic", **recipe}), encoding="utf-8")
    return place


def test_recipes_by_depth_are_points_of_their_own(study: Path, home: Path, tmp_path: Path) -> None:
    whole = recipe(tmp_path / "whole.yaml", coefficients={"helpful": 0.5})
    one = recipe(tmp_path / "one.yaml", coefficients={"helpful": 0.5}, parameters={"groups": 1})
    equal = recipe(tmp_path / "equal.yaml", coefficients={"helpful": 0.5}, parameters={"groups": 3})
    by_depth = {"helpful": 0.5, "helpful@3": 0}
    steps = recipe(tmp_path / "steps.yaml", coefficients=by_depth, parameters={"groups": 3})
    ran = headless.run(home, "evaluate", study, "--recipe", whole, one, equal, steps, "--json")
    assert ran.code == 0, ran.err
    points = json.loads(ran.out)["points"]
    ids = [each["id"] for each in points]
    assert ids[0] == ids[1] and len(set(ids)) == 3
    assert points[0]["scores"] == points[2]["scores"]
    assert points[3]["recipe"]["coefficients"] == {
        "helpful@1": 0.5, "helpful@2": 0.5, "helpful@3": 0.0,
    }  # fmt: skip
    asked = ("--prompt", "a", "--max-new-tokens", "2", "--json")
    ran = headless.run(home, "generate", study, "--point", ids[3], *asked)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["recipe"] == points[3]["recipe"]


def test_more_bands_than_layers_are_refused(study: Path, home: Path, tmp_path: Path) -> None:
    four = recipe(tmp_path / "four.yaml", coefficients={"helpful": 1}, parameters={"groups": 4})
    for words in (
        ("evaluate", study, "--recipe", four),
        ("generate", study, "--recipe", four, "--prompt", "a"),
        ("export", study, "--recipe", four, tmp_path / "out"),
        ("sweep", study, "--method", "pcb", "--points", "2", "--groups", "4"),
    ):
        ran = headless.run(home, *words)
        assert ran.code == 2 and "4 bands, but the models have 3 layers" in ran.err, words


def test_a_sweep_by_depth(study: Path, home: Path) -> None:
    words = ("--method", "linear", "--points", 3, "--executor", "inline", "--groups", 2)
    ran = headless.run(home, "sweep", study, *words)
    assert ran.code == 0, ran.err
    *points, last = [json.loads(line) for line in ran.out.splitlines()]
    assert last == {"done": True, "points": 3, "failed": 0} and len(points) == 3
    for each in points:
        assert each["recipe"]["parameters"]["groups"] == 2
        assert list(each["recipe"]["coefficients"]) == [
            "base@1",
            "base@2",
            "helpful@1",
            "helpful@2",
        ]


def test_a_method_without_bands_says_so(study: Path, home: Path) -> None:
    words = ("--method", "proxy_tuning", "--points", 2, "--groups", 2)
    ran = headless.run(home, "sweep", study, *words)
    assert ran.code == 2 and "groups" in ran.err
