"""What the worker does and what waits for it, in words and in turn."""

from __future__ import annotations

import pytest

from engine.jobs.executor import Status
from engine.recipe import Recipe, resolve
from studio.at_work import at_work, is_measured_now, time_left
from studio.sweeps import queue as sweeping
from studio.workbench import Workbench
from tests.app_fixtures import until
from tests.pages import toy


def recipe(bench: Workbench, helpful: float) -> Recipe:
    c = {"helpful": helpful, "terse": 0.0}
    return resolve(Recipe("task_arithmetic", c), bench.names)


def test_what_runs_stands_first_and_each_can_be_cancelled(
    bench: Workbench, service: toy.Service
) -> None:
    assert at_work(bench) == []
    service.pause = 5.0
    names = [each.name for each in bench.objectives]
    sweeps = [
        sweeping.enqueue(
            bench, [{"method": "task_arithmetic", "strategy": "sobol", "points": 2}],
            [recipe(bench, 0.1 + at), recipe(bench, 0.2 + at)], names, {},
        )
        for at in (0.0, 0.5)
    ]  # fmt: skip
    until(lambda: at_work(bench)[0].state == "running")
    one = bench.evaluate([recipe(bench, 0.9)], "Scoring one", "a:evaluate")
    until(lambda: at_work(bench)[0].what == "Scoring one")
    bench.evaluate([recipe(bench, 0.8)], "Scoring two", "b:evaluate")
    found = at_work(bench)
    assert [each.state for each in found] == ["running", "parked", "queued", "waiting"]
    assert [each.what.split(":")[0] for each in found] == [
        "Scoring one", "Sweep", "Scoring two", "Sweep",
    ]  # fmt: skip
    assert found[1].stands.startswith("0 of 2 points, paused") and found[0].part == 0.0
    assert [each.key for each in at_work(bench, ("sweep:",))] == [found[0].key, found[2].key]
    assert is_measured_now(bench, recipe(bench, 0.9))
    assert is_measured_now(bench, recipe(bench, 0.1))
    assert not is_measured_now(bench, recipe(bench, 0.77))
    for each in found:
        assert each.cancel is not None
        each.cancel()
    until(lambda: at_work(bench) == [])
    assert one.status.failure == "cancelled"
    assert [each.state for each in sweeps] == ["cancelled", "cancelled"]


def test_the_opening_of_the_study_cannot_be_cancelled(
    bench: Workbench, service: toy.Service
) -> None:
    service.pause = 5.0
    busy = bench.evaluate([recipe(bench, 0.9)], "Scoring", "here")
    until(lambda: busy.status.state == "running")
    bench.restart()
    assert {each.key.split(":")[0]: each.cancel is None for each in at_work(bench)} == {
        "here": False, "open": True,
    }  # fmt: skip
    busy.handle.cancel()


@pytest.mark.parametrize(
    ("state", "since", "part", "words"),
    [
        ("running", 90.0, 0.25, "about 30 s left"),
        ("running", 90.0, 0.0, ""),
        ("running", None, 0.5, ""),
        ("parked", 90.0, 0.5, ""),
    ],
)
def test_the_pace_so_far_says_how_long_the_rest_takes(
    state: str, since: float | None, part: float, words: str
) -> None:
    assert time_left(Status(state, since=since), part, 100.0) == words  # type: ignore[arg-type]
