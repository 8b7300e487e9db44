"""Sweeps in words: an estimate, the line under the bar, the table of past sweeps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from engine.counted import counted, size_text
from engine.family.memory import Memory
from engine.jobs.executor import Status
from studio.points.numbers import number
from studio.points.recipes import recipe_text
from studio.points.view import Axis
from studio.sweeps.estimating import Line
from studio.sweeps.figure import Curve
from studio.sweeps.listed import Queue
from studio.sweeps.pace import duration
from studio.sweeps.sweep import Run, Sweep, design_words, words_of

STATES = {
    "waiting": "waiting",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "unfinished": "interrupted",
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
        return f"paused while another job runs{work}"
    return f"{about} left" if about else "time left is known after the first point"


def running_words(sweep: Sweep, run: Run, status: Status, there: int) -> str:
    """Where a running sweep stands: points there, what is measured now, time left."""
    parts = [f"{there} of {counted(sweep.count, 'point')}", left_words(run, status)]
    if run.asking:
        return f"{parts[0]} · choosing the next ones from what is measured"
    gain = (sweep.search or {}).get("gain")
    if gain is not None:
        parts.append(f"this batch is expected to add {100 * gain:.1f} % of hypervolume")
    index = int(status.progress.get("index", status.progress.get("done", 0)))
    if status.state == "running" and status.progress.get("waiting"):
        parts.append("the rest is being measured by other processes")
    elif status.state == "running" and index < len(run.recipes):
        now = f"now {recipe_text(run.recipes[index])}"
        if status.progress.get("stage"):
            now += f", {status.progress['stage']}"
        if status.progress.get("objective"):
            now += f", {status.progress['objective']}"
        if status.progress.get("of_rows"):
            now += (
                f" {status.progress.get('rows', 0)} of {counted(status.progress['of_rows'], 'row')}"
            )
        parts.append(now)
    return " · ".join(parts)


def past_rows(queue: Queue) -> list[dict[str, Any]]:
    """The table of sweeps that are over, the newest first; numbers and times are numbers."""
    over = queue.of_state("done", "failed", "cancelled", "unfinished")
    return [
        {
            "when": datetime.fromtimestamp(each.created),
            "methods": words_of(each),
            "points": each.count if each.search is None else each.search["asked"],
            "failed": each.failed,
            "minutes": round(each.seconds / 60, 2) if each.seconds else None,
            "state": "; ".join(filter(None, (STATES[each.state], (each.search or {}).get("why")))),
            "objectives": ", ".join(each.objectives),
        }
        for each in sorted(over, key=lambda each: -each.created)
    ]


def estimate_words(lines: Sequence[Line], need: Memory | None) -> list[str]:
    """An estimate as lines of text, the sum first."""
    new, whole = sum(line.new for line in lines), sum(len(line.recipes) for line in lines)
    search = any(line.search for line in lines)
    text = f"{counted(new, 'new point')} ({whole - new} already measured)."
    if search:
        text = f"{counted(new, 'new point')} at most, for all methods together."
    if not new:
        return [f"{text} All points of this sweep are already measured."]
    found = [text]
    if not any(line.new and line.total is None for line in lines):
        found[0] += f" About {duration(sum(line.total or 0.0 for line in lines))} in all."
    for line in lines:
        if line.seconds is None or not line.new:
            continue
        times = f"at most {line.new}" if line.search else f"{line.new}"
        once = f", {duration(line.prepare)} once to prepare" if line.prepare >= 0.1 else ""
        found.append(
            f"{design_words(line.design)}: {times} × {duration(line.seconds)} per point,"
            f" measured on one{once}."
        )
    if need is not None:
        found.append(
            f"Memory: up to {size_text(need.needed)} needed,"
            f" {size_text(need.available)} free when the study was opened."
        )
    return found


def reference_words(curve: Curve, axes: Sequence[Axis], reference: np.ndarray) -> str:
    """What the chart shows, with its reference stated."""
    corner = ", ".join(
        f"{axis.label} {number(float(value))}" for axis, value in zip(axes, reference, strict=True)
    )
    return (
        f"Hypervolume {curve.volumes[-1]:.4g} after {counted(curve.counts[-1], 'point')}, in the"
        f" order measured. Reference, 10 % beyond the worst unmerged model: {corner}."
    )
