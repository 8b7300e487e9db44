"""`sweep --race` in the shell: stopped points stand apart, are refused, and can be finished."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.commands.report import REPORTS
from tests import headless
from tests.engine.jobs.small import build_small_study

CPU = ("--device", "cpu")
OVER = ("--objectives", "has,loss")
RACE = (
    "--method", "task_arithmetic", "--points", "10", *OVER, "--executor", "inline", *CPU,
    "--race", "0.5",
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_small_study(tmp_path_factory.mktemp("raced"), adapter=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def lines(home: Path, study: Path) -> list[dict[str, Any]]:
    return told(home, "sweep", study, *RACE)


def told(home: Path, *words: object) -> list[dict[str, Any]]:
    ran = headless.run(home, *words)
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def partial_ids(home: Path) -> list[str]:
    """Ids of the journal's rows of a part, as often as they were written."""
    lines = [line for each in home.rglob("*.jsonl") for line in each.read_text().splitlines()]
    found = sorted(row["id"] for row in map(json.loads, lines) if row.get("kind") == "partial")
    assert found
    return found


def apart(lines: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """id -> document, of those stopped and of those measured."""
    stopped = {each["id"]: each for each in lines if "threshold" in each}
    return stopped, {each["id"]: each for each in lines if "id" in each and "threshold" not in each}


def test_a_race_stops_some_and_measures_the_others_in_full(lines: list[dict[str, Any]]) -> None:
    stopped, full = apart(lines)
    assert stopped and full and not set(stopped) & set(full)
    assert lines[-1]["stopped"] == len(stopped) and lines[-1]["points"] == len(full)
    assert len(stopped) + len(full) == 10
    for each in stopped.values():
        assert each["probability"] < each["threshold"] == 0.5
        for score in each["scores"].values():
            assert score["n"] < score["of"] and score["stderr"] is not None
    rows = {each["scores"]["loss"]["n"] for each in full.values()}
    assert rows == {score["scores"]["loss"]["of"] for score in stopped.values()}
    assert "stopped early" in REPORTS["sweep"](lines[-1])
    text = REPORTS["sweep"](next(iter(stopped.values())))
    assert "stopped" in text and " of " in text and "%" in text


def test_what_is_left_has_the_scores_of_a_plain_evaluation(
    study: Path, tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    plain = told(tmp_path, "sweep", study, *RACE[:-2])
    found = {each["id"]: each["scores"] for each in plain if "id" in each}
    _, full = apart(lines)
    for point, each in full.items():
        assert each["scores"] == found[point]


def test_a_stopped_point_is_listed_apart_and_on_no_front(
    home: Path, study: Path, lines: list[dict[str, Any]]
) -> None:
    stopped, _ = apart(lines)
    (found,) = told(home, "front", study, *OVER)
    assert {each["id"] for each in found["partial"]} == set(stopped)
    for each in found["partial"]:
        assert each == stopped[each["id"]]
    assert not set(found["front"]) & set(stopped)
    assert not set(found["probability"]) & set(stopped)
    (pick,) = told(home, "recommend", study, *OVER, "--weight", "has=1", "loss=1")
    assert pick["point"]["id"] not in stopped
    assert all(point in REPORTS["front"](found) for point in stopped)


def test_it_is_refused_until_it_is_scored_to_the_end_and_not_raced_again(
    home: Path, study: Path, tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    stopped, _ = apart(lines)
    point = sorted(stopped)[0]
    for words in (("export", study, tmp_path / "out", "--point", point),
                  ("serve", study, "--point", point, "--port", "0")):  # fmt: skip
        ran = headless.run(home, *words, *CPU)
        assert ran.code == 2 and "only some of its rows" in ran.err and "evaluate" in ran.err
    assert not (tmp_path / "out").exists()

    again = told(home, "sweep", study, *RACE)
    assert apart(again)[0] == stopped and again[-1] == lines[-1]
    assert partial_ids(home) == sorted(set(partial_ids(home)))  # nothing was scored twice

    told(home, "evaluate", study, "--point", point, *OVER, *CPU)
    (found,) = told(home, "front", study, *OVER)
    assert point not in {each["id"] for each in found["partial"]}
    told(home, "export", study, tmp_path / "out", "--point", point, *CPU)


def test_a_smaller_threshold_lets_it_go_on(
    home: Path, study: Path, lines: list[dict[str, Any]]
) -> None:
    before, _ = apart(lines)
    _, full = apart(told(home, "sweep", study, *RACE[:-1], "0.000001"))
    assert set(full) & set(before)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--race", "1.5"), "above 0 and below 1"),
        (("--race", "0.05", "--strategy", "suggest"), "--race"),
    ],
)
def test_what_it_refuses(study: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    ran = headless.run(tmp_path, "sweep", study, *RACE[:-2], *words)
    assert ran.code == 2 and said in ran.err
