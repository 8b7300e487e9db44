"""A job on a page: progress in words, Cancel, and why something failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from studio.task import Task, fraction, words
from studio.workbench import Workbench


def bar(task: Task, key: str, objectives: Sequence[str], cancel: Callable[[], None]) -> None:
    """A running job: what for, how far, and a way to stop it."""
    status = task.status
    st.text(task.what)
    st.progress(fraction(status, objectives))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(words(status), width="stretch")
        if st.button("Cancel", key=f"cancel:{key}"):
            cancel()


def ending(task: Task, key: str) -> None:
    """A job that is over: nothing where it succeeded."""
    status = task.status
    if status.state == "done":
        for reason in dict.fromkeys((task.handle.result(0).get("errors") or {}).values()):
            st.error("A recipe could not be scored.", icon=":material/error:")
            st.code(reason, language=None, wrap_lines=True)
        return
    if status.failure == "cancelled":
        cancelled(task)
        return
    st.error("This failed.", icon=":material/error:")
    st.text(task.what)
    st.code(status.reason or "no reason was given", language=None, wrap_lines=True)


def cancelled(task: Task) -> None:
    """A job that a user stopped."""
    st.text(f"Cancelled: {task.what}. What was scored so far is kept.")


def endings(bench: Workbench, sessions: Sequence[str]) -> None:
    """How the jobs of these sessions ended; what runs is in the header (jobs_bar.py)."""
    for session in sessions:
        task = bench.task(session)
        if task is not None and task.status.over:
            ending(task, session)


def first_steps(bench: Workbench) -> None:
    """Under the empty chart while nothing is measured: what happens now, and what comes."""
    with st.container(border=True, key="first_steps"):
        st.text("No points yet.")
        if bench.opened is None:
            st.text("The worker is opening the study: it reads and fingerprints the models.")
        models = ", ".join(bench.names.models)
        st.text(f"The unmerged models are scored first: {models}.")
        st.text("Then move the sliders and press Evaluate: each recipe becomes a point here.")
