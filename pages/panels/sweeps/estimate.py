"""The estimate of a sweep: requested, running, and as text with the Start button."""

from __future__ import annotations

import streamlit as st

from pages.panels.sweeps import form as sweep_form
from studio.sweeps import queue as sweeping
from studio.sweeps.estimating import Estimating, Form, Line, expected, memory
from studio.sweeps.searching import state_of
from studio.sweeps.sweep import design_words
from studio.sweeps.words import estimate_words
from studio.workbench import Workbench
from ui import jobs, news, opened

LOOK_SECONDS = 0.5


def panel(bench: Workbench) -> None:
    """The form, and what it would take.

    The form stands outside of the fragment that is drawn as the estimate goes on: a fragment's run
    may throw away what the run before it has not sent yet of the same fragment, and the browser
    then makes its widgets again, without what was filled in.
    """
    found: Estimating | None = st.session_state.get("estimating")
    busy = found is not None and found.busy(bench)
    form = sweep_form.ask(bench)
    ready = found is not None and found.finished and found.form == form
    asked = st.button(
        "Estimate again" if ready else "Estimate",
        key="estimate",
        type="secondary" if ready else "primary",
        width="stretch",
        disabled=form is None or busy or bench.opened is None,
        help="The worker opens the study"
        if bench.opened is None
        else "Measures one point of each method to estimate how long the sweep will take",
    )
    if asked and form is not None:
        st.session_state["estimating"] = Estimating(form, f"{opened.session()}:estimate")
        st.session_state["estimating"].start(bench)
        st.rerun()

    @st.fragment(key="sweep_estimate")
    def show() -> None:
        if found is not None:
            news.listen("sweep_estimate", lambda: _seen(bench, found), LOOK_SECONDS)
        with st.container(key="estimate_panel", gap="xsmall"):
            if found is not None:
                _stands(bench, found, form, busy)

    show()


def _seen(bench: Workbench, found: Estimating) -> object:
    """How far the estimate is."""
    task = found.task(bench)
    return found.finished, task and (task.handle.id, task.status.state, task.status.progress)


def _stands(bench: Workbench, found: Estimating, form: Form | None, busy: bool) -> None:
    """How far the estimate is, then what it says and a way to start."""
    _progress(bench, found)
    if busy and not found.busy(bench):
        st.rerun()
    if not found.finished:
        return
    if form != found.form:
        st.text("The form has changed since the estimate: estimate again.")
        return
    lines = _show(bench, found)
    if lines and st.button("Start", key="start", type="primary", width="stretch"):
        form = found.form
        recipes = [recipe for line in lines if not line.search for recipe in line.recipes]
        search = None if form.options is None else state_of(form.options)
        sweeping.enqueue(bench, form.designs, recipes, form.objectives, expected(lines), search)
        del st.session_state["estimating"]
        st.rerun()


def _progress(bench: Workbench, estimating: Estimating) -> None:
    """Take the estimate a step on and show how far it is, or why it ended."""
    estimating.step(bench)
    task = estimating.task(bench)
    if task is None or estimating.finished:
        return
    if estimating.busy(bench):
        jobs.bar(
            task, estimating.session, estimating.form.objectives, lambda: estimating.cancel(bench)
        )
    elif estimating.cancelled:
        jobs.cancelled(task)
    else:
        jobs.ending(task, estimating.session)


def _show(bench: Workbench, estimating: Estimating) -> list[Line]:
    """The estimate in words; its lines where the sweep can start, else none."""
    lines = estimating.lines(bench)
    need = memory(bench, [line.design["method"] for line in lines])
    for text in estimate_words(lines, need):
        st.text(text)
    for line in lines:
        if line.error:
            st.error("No point could be measured.", icon=":material/error:")
            st.text(design_words(line.design))
            st.code(line.error, language=None, wrap_lines=True)
    if need is not None and need.needed > need.available:
        st.warning("This may not fit into memory.", icon=":material/warning:")
    new = any(line.new for line in lines)
    unknown = any(line.new and line.total is None and not _may(line) for line in lines)
    return lines if new and not unknown else []


def _may(line: Line) -> bool:
    """Whether a sweep may start though nobody knows how long a point takes: a search whose points
    to time by are all there."""
    return line.search and line.error is None
