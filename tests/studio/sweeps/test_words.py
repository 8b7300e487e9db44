"""The line under the bar of a running sweep, past sweeps as numbers, and plurals."""

from __future__ import annotations

from datetime import datetime
from threading import current_thread
from typing import Any, cast

import numpy as np

from engine.jobs.executor import Status
from engine.recipe import Recipe
from studio.points.view import Axis
from studio.sweeps.figure import curve
from studio.sweeps.pace import Pace
from studio.sweeps.queue import Queue
from studio.sweeps.sweep import Run, State, Sweep
from studio.sweeps.words import past_rows, reference_words, running_words
from studio.task import Task

RECIPES = tuple(Recipe("task_arithmetic", {"helpful": value}) for value in (0.25, 0.5, 0.75))


def line(progress: dict[str, Any], there: int) -> str:
    sweep = Sweep("s", "f", (), ("facts",), len(RECIPES), 0.0)
    run = Run(cast(Task, None), RECIPES, Pace(["task_arithmetic"] * 3, {}, 0.0), current_thread())
    return running_words(sweep, run, Status("running", progress), there)


def test_the_line_names_the_recipe_that_is_measured_here_now() -> None:
    """Not the next in order: others may be measured by other processes meanwhile."""
    progress = {"done": 1, "total": 3, "index": 2, "objective": "facts", "rows": 4, "of_rows": 9}
    found = line(progress, 1)
    assert found.startswith("1 of 3 points")
    assert "0.75" in found and found.endswith("facts 4 of 9 rows")


def test_the_line_says_what_is_prepared() -> None:
    found = line({"done": 1, "total": 3, "index": 1, "stage": "preparing pcb: 40 %"}, 1)
    assert "now " in found and found.endswith(", preparing pcb: 40 %")


def test_the_line_says_where_only_other_processes_still_measure() -> None:
    found = line({"done": 2, "total": 3, "waiting": 1}, 2)
    assert found.startswith("2 of 3 points") and found.endswith(
        "the rest is being measured by other processes"
    )


class Kept:
    """What the table asks of a queue."""

    def __init__(self, *sweeps: Sweep) -> None:
        self.sweeps = sweeps

    def of_state(self, *states: State) -> list[Sweep]:
        return [each for each in self.sweeps if each.state in states]


def test_past_sweeps_are_numbers_and_dates() -> None:
    """As text 10 points stood before 9, and "1.0 min" before "2 s"."""
    many = Sweep("a", "f", (), ("facts",), 10, 1000.0, state="done", seconds=90.0, failed=2)
    few = Sweep("b", "f", (), ("facts",), 9, 2000.0, state="cancelled")
    waits = Sweep("c", "f", (), ("facts",), 9, 3000.0)
    first, second = past_rows(cast(Queue, Kept(many, few, waits)))
    assert (first["points"], first["failed"], first["minutes"]) == (9, 0, None)
    assert (second["points"], second["failed"], second["minutes"]) == (10, 2, 1.5)
    assert second["when"] == datetime.fromtimestamp(1000.0)


def test_one_point_is_not_one_points() -> None:
    values, reference = np.array([[0.5]]), np.array([0.1])
    found = curve(values, [True], reference)
    assert "after 1 point, in" in reference_words(found, [Axis("facts", True)], reference)
    sweep = Sweep("s", "f", (), ("facts",), 1, 0.0)
    run = Run(cast(Task, None), RECIPES[:1], Pace(["task_arithmetic"], {}, 0.0), current_thread())
    assert running_words(sweep, run, Status("queued"), 0).startswith("0 of 1 point ·")
