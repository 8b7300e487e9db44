"""The answers of a comparison: drawn while they grow, with Stop, another seed and differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from engine.jobs.executor import Status
from engine.recipe import Recipe
from pages.panels.compare.who import Who
from studio.compare.comparing import Asked, grid, title
from studio.compare.slices import Examples
from studio.compare.verdicts import with_verdicts
from studio.task import Task
from ui import news
from ui.components import declare
from ui.recipe import anchored

LOOK_SECONDS = 0.12
FIRST_TEXT_SECONDS = 0.3
"""How long the first drawing waits for a text: most are there sooner than the next look."""
NONE = "no differences marked"

_answers = declare("answers", '<table class="answers"></table>')


def result_of(task: Task) -> Mapping[str, Any] | None:
    """The result of a comparison that is done."""
    return task.handle.result(0) if task.status.state == "done" else None


def words(status: Status) -> str:
    """Where a comparison stands, in one line."""
    if status.state == "queued":
        return "Waiting for the worker."
    if status.state == "failed":
        if status.failure == "cancelled":
            return "Stopped. What was written so far is kept."
        return "This failed. What was written so far is kept."
    done, total = status.progress.get("done", 0), status.progress.get("total", 0)
    if status.state == "done":
        return "Answered."
    return f"Writing: {done} of {total} columns done." if total else "Starting."


def show(
    task: Task,
    tray: Sequence[Recipe],
    names: Sequence[str],
    examples: Examples | None,
    again: Callable[[Task], None],
    who: Who,
) -> None:
    """Draw a comparison, and redraw it as it progresses.

    Args:
        names: that a user gave the columns' points; "" for none.
        examples: of the objective, under the tray's columns.
        again: starts it with another seed.
        who: tells who said what.
    """
    running = not task.status.over
    drawn: list[bool] = []

    @st.fragment(key="comparison")
    def draw() -> None:
        news.listen("comparison", lambda: (_seen(task), who.seen), LOOK_SECONDS)
        status = task.status if drawn else task.handle.first_text(FIRST_TEXT_SECONDS)
        drawn.append(True)
        asked = Asked.of(task.handle.job.payload)
        with st.container(horizontal=True, vertical_alignment="center", key="answers_line"):
            st.text(words(status), width="stretch")
            telling = who.switch(tray)
            against = _against(tray, names)
            sampled = asked.settings.temperature > 0
            if st.button("Stop", key="stop", disabled=status.over):
                task.handle.cancel()
            if st.button(
                "Regenerate with another seed", key="again",
                disabled=not status.over or not sampled,
                help=None if sampled else "At temperature 0 the answer is always the same",
            ):  # fmt: skip
                again(task)
                st.rerun()
        if status.state == "failed" and status.failure != "cancelled":
            st.error("The worker could not answer.", icon=":material/error:")
            st.code(status.reason or "no reason was given", language=None, wrap_lines=True)
        result = result_of(task)
        data = grid(tray, asked, status, result, against, names)
        data = with_verdicts(data, tray, asked, status, examples)
        if telling:
            data = who.said(data, tray, task, result)
        _answers(key="answers", data=data)
        if running and status.over:
            st.rerun()

    draw()


def _seen(task: Task) -> object:
    """What is shown of a comparison."""
    status = task.status
    return status.state, status.progress, status.texts


def _against(tray: Sequence[Recipe], names: Sequence[str]) -> Recipe | None:
    """The column that words are compared with."""
    titles = (title(n, *each) for n, each in enumerate(zip(tray, names, strict=True)))
    options = [NONE, *(f"against {each}" for each in titles)]
    kept = st.session_state.get("against", NONE)
    key = f"against:{hash(tuple(options))}"
    at = anchored(key, options.index(kept) if kept in options else 0)
    chosen = st.selectbox(
        "Differences", options, index=at, key=key, width=300, label_visibility="collapsed",
    )  # fmt: skip
    st.session_state["against"] = chosen
    return None if chosen == NONE else tray[options.index(chosen) - 1]
