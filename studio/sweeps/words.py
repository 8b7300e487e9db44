"""Sweeps in words: the line under the bar, the table of past sweeps, the points that failed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.jobs.executor import Status
from engine.recipe import Recipe, recipe_from_dict
from studio.points.numbers import number
from studio.points.recipes import recipe_text
from studio.points.view import Axis
from studio.sweeps.figure import Curve
from studio.sweeps.pace import duration
from studio.sweeps.queue import Queue
from studio.sweeps.sweep import Run, Sweep, words_of
from studio.workbench import Workbench

STATES = {
    "waiting": "waiting",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "unfinished": "unfinished: the app ended",
}


def when(at: float) -> str:
    """A Unix time as date and time where the app runs."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def left_words(run: Run, status: Status) -> str:
    """How long a running sweep still takes; while it is parked, how much work is left."""
    left = run.pace.left
    about = "" if left is None else f"about {duration(left)}"
    if status.state == "queued":
        return "waiting for the worker"
    if status.state == "parked":
        work = f"; {about} of work left" if about else ""
        return f"parked while something else runs{work}"
    return f"{about} left" if about else "the first point says how long"


def running_words(sweep: Sweep, run: Run, status: Status, there: int) -> str:
    """Where a running sweep stands: points there, what is measured now, time left."""
    parts = [f"{there} of {sweep.count} points", left_words(run, status)]
    index = int(status.progress.get("index", status.progress.get("done", 0)))
    if status.state == "running" and status.progress.get("waiting"):
        parts.append("other processes measure the rest")
    elif status.state == "running" and index < len(run.recipes):
        now = f"now {recipe_text(run.recipes[index])}"
        if status.progress.get("objective"):
            now += f", {status.progress['objective']}"
        if status.progress.get("of_rows"):
            now += f" {status.progress.get('rows', 0)} of {status.progress['of_rows']} rows"
        parts.append(now)
    return " · ".join(parts)


def past_rows(queue: Queue) -> list[dict[str, Any]]:
    """The table of sweeps that are over, the newest first."""
    over = queue.of_state("done", "failed", "cancelled", "unfinished")
    return [
        {
            "when": when(each.created),
            "methods": words_of(each),
            "points": f"{each.count}" + (f", {each.failed} failed" if each.failed else ""),
            "time": duration(each.seconds) if each.seconds else "",
            "state": STATES[each.state],
            "objectives": ", ".join(each.objectives),
        }
        for each in sorted(over, key=lambda each: -each.created)
    ]


def failed_points(bench: Workbench) -> list[tuple[Recipe, str, str, bool]]:
    """Recipe, its text and the reason of each point that failed or has no value of an objective,
    and whether there is anything to try again: a score that is no number stays none."""
    known = bench.known
    if known is None:
        return []
    points = bench.store.points(known.family, known.objectives, "explore", known.numerics)
    found = []
    for point in points:
        if point.error is not None:
            recipe = recipe_from_dict(point.recipe)
            again = any(each.name not in point.scores for each in bench.objectives)
            found.append((recipe, recipe_text(recipe), point.error, again))
    return found


def reference_words(curve: Curve, axes: Sequence[Axis], reference: np.ndarray) -> str:
    """What the chart shows, with its reference stated."""
    corner = ", ".join(
        f"{axis.label} {number(float(value))}" for axis, value in zip(axes, reference, strict=True)
    )
    return (
        f"Hypervolume {curve.volumes[-1]:.4g} after {curve.counts[-1]} points, in the order"
        f" measured. Reference, 10 % beyond the worst model as it is: {corner}."
    )
