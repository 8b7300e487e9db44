"""What runs, shown: progress in words, Cancel, and why something failed."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.counted import counted
from engine.jobs.executor import Status
from studio.task import Task
from studio.workbench import Workbench

LOOK_SECONDS = 0.4


def fraction(status: Status, objectives: Sequence[str]) -> float:
    """How much of a job is done, from 0 to 1: recipes, then objectives, then rows."""
    progress = status.progress
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
        return "parked while something else runs"
    total = status.progress.get("total")
    if not total:
        return str(status.progress.get("stage", "running"))
    text = f"{status.progress.get('done', 0)} of {total} done"
    if status.progress.get("waiting"):
        return f"{text}, other processes measure the rest"
    if status.progress.get("objective"):
        text += f", {status.progress['objective']}"
    if status.progress.get("of_rows"):
        text += f" {status.progress.get('rows', 0)} of {counted(status.progress['of_rows'], 'row')}"
    return text


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


def activity(bench: Workbench, sessions: Sequence[str]) -> None:
    """The jobs of these sessions; looks again by itself while one of them runs."""
    running = any(task is not None and not task.status.over for task in map(bench.task, sessions))

    @st.fragment(run_every=LOOK_SECONDS if running else None)
    def show() -> None:
        still = False
        for session in sessions:
            task = bench.task(session)
            if task is None:
                continue
            if task.status.over:
                ending(task, session)
            else:
                still = True
                bar(task, session, bench.objective_names)
        if running and not still:
            st.rerun()

    show()


def first_steps(bench: Workbench) -> None:
    """Under the empty chart while nothing is measured: what happens now, and what comes."""
    with st.container(border=True, key="first_steps"):
        st.text("No points yet.")
        if bench.opened is None:
            st.text("The worker opens the study: it reads the models and their fingerprints.")
        models = ", ".join(bench.names.models)
        st.text(f"First the models are scored as they are: {models}.")
        st.text("Then move the sliders and press Evaluate: each recipe becomes a point here.")
