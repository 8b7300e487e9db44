"""Whether what a method needs fits in memory, said before it is asked to run."""

from __future__ import annotations

from engine.family.memory import Way, ways
from engine.method import Method
from studio.workbench import Workbench


def way_of(bench: Workbench, method: Method) -> Way | None:
    """How a method would run on the family; None until the worker has opened it."""
    task = bench.task("open")
    if task is None or task.status.state != "done":
        return None
    found = ways(task.handle.result(0)["memory"])
    if method.space == "logit":
        return found["logit"]
    return found["prepared" if method.passes else "direct"]


def warning(bench: Workbench, method: Method) -> str:
    """What does not fit and what happens instead; empty where all of it fits."""
    way = way_of(bench, method)
    return "" if way is None or way.fits else way.text
