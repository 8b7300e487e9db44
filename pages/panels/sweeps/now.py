"""The running sweep, those waiting, and those that can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from engine.counted import counted
from studio.sweeps import queue as sweeping
from studio.sweeps.sweep import Sweep, there, words_of
from studio.sweeps.words import STATES, running_words, when
from studio.workbench import Workbench
from ui import jobs, news

LOOK_SECONDS = 0.5

Actions = Mapping[str, Callable[[Workbench, Sweep], object]]
"""Label -> what is done to a sweep."""


def panel(bench: Workbench) -> None:
    """A fixed height, so that nothing below moves."""
    queue = sweeping.queue(bench)
    active = _active(queue)

    @st.fragment(key="sweep_now")
    def show() -> None:
        sweeping.advance(bench)
        news.listen("sweep_now", lambda: _seen(bench), LOOK_SECONDS)
        running = queue.running if queue is not None else None
        waiting = queue.of_state("waiting") if queue is not None else []
        resumable = queue.resumable if queue is not None else []
        elsewhere = queue.elsewhere if queue is not None else []
        with st.container(height=172, border=True, key="sweep_running", gap="xsmall"):
            if running is not None:
                _running(bench, running)
            for place, sweep in enumerate(waiting, 1):
                _line(bench, sweep, f"{place}. in the queue", {"Remove": sweeping.cancel})
            for sweep in elsewhere:
                points = f"{there(bench, sweep)} of {counted(sweep.count, 'point')}"
                _line(bench, sweep, f"{sweep.state} in another process, {points}", {})
            for sweep in resumable:
                points = f"{there(bench, sweep)} of {counted(sweep.count, 'point')}"
                actions: Actions = {"Resume": sweeping.resume, "Dismiss": sweeping.dismiss}
                _line(bench, sweep, f"{STATES[sweep.state]}, {points}", actions)
                if sweep.reason:
                    st.code(sweep.reason, language=None, wrap_lines=True)
            if not (running or waiting or resumable or elsewhere):
                st.text("No sweep is running.")
                st.text("1. Choose methods, objectives and a design on the left.")
                st.text("2. Estimate: one point per method is measured to predict the duration.")
                st.text("3. Start. You can close the page: the sweep continues in the background.")
        if active != _active(queue):
            st.rerun()

    show()


def _active(queue: sweeping.Queue | None) -> bool:
    """Whether a sweep runs or waits, here or in another process."""
    return queue is not None and bool(queue.of_state("running", "waiting") or queue.elsewhere)


def _seen(bench: Workbench) -> object:
    """How each sweep stands that is shown."""
    queue = sweeping.queue(bench)
    if queue is None:
        return None
    others = [*queue.of_state("waiting"), *queue.resumable]
    theirs = [(each.id, there(bench, each)) for each in queue.elsewhere]
    running = queue.running
    now = None
    if running is not None and running.run is not None:
        task = running.run.task
        now = running.id, running.run.cancelled, task.status.progress, there(bench, running)
    return now, [(each.id, each.state) for each in others], theirs


def _line(
    bench: Workbench,
    sweep: Sweep,
    stands: str,
    actions: Actions,
) -> None:
    """A sweep that does not run, and what can be done with it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(f"{stands}: {words_of(sweep)}, {when(sweep.created)}", width="stretch")
        for label, act in actions.items():
            if st.button(label, key=f"{label}:{sweep.id}"):
                act(bench, sweep)
                st.rerun()


def _running(bench: Workbench, sweep: Sweep) -> None:
    run = sweep.run
    if run is None:
        return
    status = run.task.status
    part = jobs.fraction(status, sweep.objectives) * len(run.recipes)
    asked = sweep.count if sweep.search is None else int(sweep.search["asked"])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(words_of(sweep), width="stretch")
        if st.button("Cancel", key=f"cancel:{sweep.id}", disabled=run.cancelled):
            sweeping.cancel(bench, sweep)
            st.rerun()
    st.progress(min(1.0, (asked - len(run.recipes) + part) / sweep.count))
    st.text(running_words(sweep, run, status, there(bench, sweep)))
