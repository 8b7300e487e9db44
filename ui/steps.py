"""The first steps in a workspace: which were taken, and whether their list is shown.

    take(bench, "slider") ──► session, and a row of the journal: a reload and a restart know it

A step is taken where it is done (a slider's callback, say). Two show in what is stored anyway: a
mixture that was measured here, and an export; `look` takes them from there.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

import streamlit as st

from studio.points.view import Measured
from studio.workbench import Workbench

Step = Literal["slider", "evaluate", "prefer", "compare", "export"]

WORDS: dict[Step, str] = {
    "slider": "Move a slider",
    "evaluate": "Evaluate the mixture",
    "prefer": "Set a preference",
    "compare": "Compare two",
    "export": "Export one",
}
"""In the order in which they make sense; any order counts."""

LIST = "one-minute"
"""Id of the row that says whether the list is shown; without `shown` it is dismissed."""


@dataclass
class Taken:
    """What this browser session knows of the workspace's steps."""

    steps: set[str] = field(default_factory=set)
    shown: bool = True


def taken(bench: Workbench) -> Taken:
    """The steps taken in this workspace, read once a session."""
    if "first_steps" not in st.session_state:
        found = Taken()
        for row in bench.store.records("setting"):
            if row["id"] == LIST:
                found.shown = bool(row.get("shown"))
            elif row["id"] in _ROWS:
                found.steps.add(_ROWS[row["id"]])
        st.session_state["first_steps"] = found
    known: Taken = st.session_state["first_steps"]
    return known


_ROWS = {f"step:{name}": name for name in WORDS}


def take(bench: Workbench, step: Step) -> bool:
    """Tick a step; whether it was not ticked before."""
    if step in taken(bench).steps:
        return False
    taken(bench).steps.add(step)
    bench.store.append([{"kind": "setting", "id": f"step:{step}", "at": time.time()}])
    return True


def look(bench: Workbench, measured: Measured) -> None:
    """Tick what is stored: a mixture measured here, an export."""
    steps = taken(bench).steps
    if "evaluate" not in steps and (~measured.shipped.all(axis=1) & ~measured.singles).any():
        take(bench, "evaluate")
    if "export" not in steps and bench.store.records("export"):
        take(bench, "export")


def watch(bench: Workbench, step: Step, key: str, now: Hashable) -> bool:
    """Tick a step when a value that a user can change is another one than at first.

    Args:
        key: whose value it is; each is compared with its own first one of this session.

    Returns:
        Whether the step was not ticked before and is now.
    """
    first = st.session_state.setdefault("first_values", {})
    return first.setdefault(f"{step}:{key}", now) != now and take(bench, step)


def show(bench: Workbench, shown: bool) -> None:
    """Bring the list back, or dismiss it, for this workspace."""
    taken(bench).shown = shown
    row = {"kind": "setting", "id": LIST, "at": time.time(), "shown": shown}
    bench.store.append([row])
