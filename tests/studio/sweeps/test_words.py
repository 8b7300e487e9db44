"""The line under the bar of a running sweep."""

from __future__ import annotations

from typing import Any, cast

from engine.jobs.executor import Status
from engine.recipe import Recipe
from studio.sweeps.pace import Pace
from studio.sweeps.sweep import Run, Sweep
from studio.sweeps.words import running_words
from studio.task import Task

RECIPES = tuple(Recipe("task_arithmetic", {"helpful": value}) for value in (0.25, 0.5, 0.75))


def line(progress: dict[str, Any], there: int) -> str:
    sweep = Sweep("s", "f", (), ("facts",), len(RECIPES), 0.0)
    run = Run(cast(Task, None), RECIPES, Pace(["task_arithmetic"] * 3, {}, 0.0))
    return running_words(sweep, run, Status("running", progress), there)


def test_the_line_names_the_recipe_that_is_measured_here_now() -> None:
    """Not the next in order: others may be measured by other processes meanwhile."""
    progress = {"done": 1, "total": 3, "index": 2, "objective": "facts", "rows": 4, "of_rows": 9}
    found = line(progress, 1)
    assert found.startswith("1 of 3 points")
    assert "0.75" in found and found.endswith("facts 4 of 9 rows")


def test_the_line_says_where_only_other_processes_still_measure() -> None:
    found = line({"done": 2, "total": 3, "waiting": 1}, 2)
    assert found.startswith("2 of 3 points") and found.endswith("other processes measure the rest")
