"""A job on a page: progress in words, Cancel, and why something failed."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from studio.task import Task, fraction, words
from studio.workbench import Workbench

LOOK_SECONDS = 0.5


def bar(task: Task, key: str, objectives: Sequence[str]) -> None:
    """A running job: what for, how far, and a way to stop it."""
    status = task.status
    st.text(task.what)
    st.progress(fraction(status, objectives))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(words(status), width="stretch")
        if st.button("Cancel", key=f"cancel:{key}"):
            task.handle.cancel()


def ending(task: Task, key: str) -> None:
    """A job that is over: nothing where it succeeded."""
    status = task.status
    if status.state == "done":
        for reason in dict.fromkeys((task.handle.result(0).get("errors") or {}).values()):
            st.error("A recipe could not be scored.", icon=":material/error:")
            st.code(reason, language=None, wrap_lines=True)
        return
    if status.failure == "cancelled":
        st.text(f"Cancelled: {task.what}. What was scored before is kept.")
        return
    st.error("This did not work.", icon=":material/error:")
    st.text(task.what)
    st.code(status.reason or "no reason was given", language=None, wrap_lines=True)


def endings(bench: Workbench, sessions: Sequence[str]) -> None:
    """How the jobs of these sessions ended; what runs is in the header (jobs_bar.py).

    The header was drawn before this run asked for a job, and never knows of one that has ended by
    its next look: so what waits here for an end looks for itself.
    """
    found = [(session, bench.task(session)) for session in sessions]
    for session, task in found:
        if task is not None and task.status.over:
            ending(task, session)
    going = [task for _, task in found if task is not None and not task.status.over]
    if not going:
        return

    @st.fragment(run_every=LOOK_SECONDS, key=f"ending:{sessions[0]}")
    def look() -> None:
        if any(task.status.over for task in going):
            st.rerun()

    look()


def first_steps(bench: Workbench) -> None:
    """Under the empty chart while nothing is measured: what happens now, and what comes."""
    with st.container(border=True, key="first_steps"):
        st.text("No points yet.")
        if bench.opened is None:
            st.text("The worker opens the study: it reads the models and their fingerprints.")
        models = ", ".join(bench.names.models)
        st.text(f"First the unmerged models are scored: {models}.")
        st.text("Then move the sliders and press Evaluate: each recipe becomes a point here.")
