"""What runs, shown: progress in words, Cancel, and why something failed."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.run.executor import Status
from pages.parts.backend import Backend, Task

LOOK_SECONDS = 0.4


def fraction(status: Status) -> float:
    """Done ÷ total of the latest progress, 0 before the first."""
    total = status.progress.get("total") or 0
    return min(1.0, status.progress.get("done", 0) / total) if total else 0.0


def words(status: Status) -> str:
    """Where a job stands."""
    if status.state == "queued":
        return "waiting for the worker"
    if status.state == "parked":
        return "parked while something else runs"
    total = status.progress.get("total")
    if not total:
        return "running"
    objective = status.progress.get("objective")
    text = f"{status.progress.get('done', 0)} of {total}"
    return f"{text}, {objective}" if objective else text


def bar(task: Task, key: str) -> None:
    """A running job: what for, how far, and a way to stop it."""
    status = task.status
    st.text(task.what)
    st.progress(fraction(status))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(words(status), width="stretch")
        if st.button("Cancel", key=f"cancel:{key}"):
            task.handle.cancel()


def ending(task: Task, key: str) -> None:
    """A job that is over: nothing where it succeeded."""
    status = task.status
    if status.state != "failed":
        return
    if status.failure == "cancelled":
        st.text(f"Cancelled: {task.what}. What was scored before is kept.")
        return
    st.error("This did not work.", icon=":material/error:")
    st.text(task.what)
    st.code(status.reason or "no reason was given", language=None, wrap_lines=True)


def activity(backend: Backend, sessions: Sequence[str]) -> None:
    """The jobs of these sessions; looks again by itself while one of them runs."""
    running = any(task is not None and not task.status.over for task in map(backend.task, sessions))

    @st.fragment(run_every=LOOK_SECONDS if running else None)
    def show() -> None:
        still = False
        for session in sessions:
            task = backend.task(session)
            if task is None:
                continue
            if task.status.over:
                ending(task, session)
            else:
                still = True
                bar(task, session)
        if running and not still:
            st.rerun()

    show()


def first_steps(backend: Backend) -> None:
    """In place of the chart while nothing is measured: what happens now, and what comes."""
    with st.container(border=True, height=440, key="first_steps"):
        st.text("No points yet.")
        if backend.opened is None:
            st.text("The worker opens the study: it reads the models and their fingerprints.")
        models = ", ".join(backend.names.models)
        st.text(f"First the models are scored as they are: {models}.")
        st.text("Then move the sliders and press Evaluate: each recipe becomes a point here.")
