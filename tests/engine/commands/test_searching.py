"""`sweep --strategy suggest` and `cmaes` in the shell: the same points by the same seed, whether or
not they were stopped in between, and what they refuse."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from engine.commands.report import REPORTS
from tests import headless
from tests.engine.jobs.small import build_small_study

CPU = ("--device", "cpu", "--executor", "inline", "--objectives", "has,loss")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_small_study(tmp_path_factory.mktemp("searched"), adapter=True)


def sweep(home: Path, study: Path, *words: object) -> list[dict[str, Any]]:
    ran = headless.run(home, "sweep", study, *words, *CPU)
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def ids(lines: list[dict[str, Any]]) -> list[str]:
    return sorted(each["id"] for each in lines if "id" in each)


@pytest.mark.parametrize(
    "words",
    [
        ("--method", "task_arithmetic", "--strategy", "suggest", "--seed", "1"),
        ("--method", "linear", "--strategy", "cmaes", "--weight", "has=2"),
    ],
    ids=["suggest", "cmaes"],
)
def test_a_search_goes_on_where_it_stopped(
    study: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    whole = sweep(tmp_path / "whole", study, *words, "--points", 14)
    first = sweep(tmp_path / "parts", study, *words, "--points", 9)
    rest = sweep(tmp_path / "parts", study, *words, "--points", 14)
    assert whole[-1]["points"] == len(set(ids(whole))) == 14
    assert len(first) == 10 and set(ids(first)) < set(ids(whole))
    assert ids(rest) == ids(whole)
    assert ids(sweep(tmp_path / "parts", study, *words, "--points", 14)) == ids(whole)
    assert "all" in whole[-1]["why"] and whole[-1]["why"] in REPORTS["sweep"](whole[-1])


def test_it_ends_when_the_front_stands_still(study: Path, tmp_path: Path) -> None:
    words = ("--method", "task_arithmetic", "--strategy", "suggest", "--points", 60)
    found = sweep(tmp_path, study, *words, "--until-still", "--at-most", "loss=11")
    last = found[-1]
    assert last["points"] < 60 and last["why"].startswith("the front stands still")
    assert last["gain"] < max(0.01, last["noise"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--strategy", "sobol", "--until-still"), "--until-still"),
        (("--strategy", "suggest", "--weight", "has=1"), "cmaes"),
        (("--strategy", "cmaes", "--surrogate", "quadratic"), "--surrogate"),
        (("--strategy", "suggest", "--at-most", "has=1"), "worse side"),
        (("--strategy", "suggest", "--at-least", "hass=1"), "mean has"),
        (("--strategy", "cmaes", "--weight", "has=-1"), "-1 is not a weight"),
        (("--strategy", "cmaes", "--method", "contrastive"), "two or more"),
    ],
)
def test_what_a_search_does_not_take(
    study: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    given = () if "--method" in words else ("--method", "task_arithmetic")
    ran = headless.run(tmp_path, "sweep", study, *given, *words, "--points", 4, *CPU)
    assert ran.code == 2 and said in ran.err and not ran.out


def test_a_surrogate_that_is_not_there_says_how_to_get_it(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(name: str) -> object:
        return None if name == "botorch" else find_spec(name)

    monkeypatch.setattr("studio.sweeps.searching.find_spec", none)
    words = ("--method", "task_arithmetic", "--strategy", "suggest", "--surrogate", "gp")
    ran = headless.run(tmp_path, "sweep", study, *words, "--points", 4, *CPU)
    assert ran.code == 2 and "requirements-bo.txt" in ran.err
