"""A job and the worker, as shown on the pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.counted import counted
from engine.jobs.executor import Handle, Status

WorkerName = Literal["starting", "ready", "busy", "failed"]


@dataclass(frozen=True)
class WorkerState:
    """The worker in one word, and why where it failed."""

    name: WorkerName
    reason: str = ""


@dataclass(frozen=True)
class Task:
    """A job with what it is for, in words."""

    what: str
    handle: Handle

    @property
    def status(self) -> Status:
        return self.handle.status()


def fraction(status: Status, objectives: Sequence[str]) -> float:
    """How much of a job is done, from 0 to 1: what it says itself, or recipes, then objectives,
    then rows."""
    progress = status.progress
    if "part" in progress:
        return float(progress["part"])
    total = progress.get("total")
    if not total:
        return 0.0
    part = 0.0
    if progress.get("objective") in objectives:
        rows = progress.get("rows", 0) / (progress.get("of_rows") or 1)
        part = (objectives.index(progress["objective"]) + rows) / len(objectives)
    return min(1.0, (progress.get("done", 0) + part) / total)


def words(status: Status) -> str:
    """Where a job stands."""
    if status.state == "queued":
        return "waiting for the worker"
    if status.state == "parked":
        return "paused while another job runs"
    total = status.progress.get("total")
    if "part" in status.progress:
        texts = counted(status.progress.get("texts", 0), "text")
        return f"{math.floor(100 * status.progress['part'])} % done, {texts} so far"
    if not total:
        return str(status.progress.get("stage", "running"))
    text = f"{status.progress.get('done', 0)} of {total} done"
    if status.progress.get("waiting"):
        return f"{text}, the rest is being measured by other processes"
    if status.progress.get("stage"):
        text += f", {status.progress['stage']}"
    if status.progress.get("objective"):
        text += f", {status.progress['objective']}"
    if status.progress.get("of_rows"):
        text += f" {status.progress.get('rows', 0)} of {counted(status.progress['of_rows'], 'row')}"
    return text
