"""Improve from here: a button under the pick that goes on to a recipe nobody measured yet, and what
the run found: the new point, exchange rates, what holds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from engine.front.bounds import Bounds
from engine.front.criteria import Criteria
from studio.decide import improving
from studio.decide.front import front_over, frozen
from studio.decide.picking import Pick
from studio.decide.preference import Preference
from studio.points.view import Axis, Measured
from studio.task import Task, words
from studio.workbench import Workbench
from ui import jobs, opened


def offer(
    bench: Workbench,
    measured: Measured,
    axes: Sequence[Axis],
    bounds: Bounds,
    found: Pick | None,
    now: Preference,
    asked: Criteria,
    on_take: Callable[[str], Any],
) -> None:
    """Draw the button, how a run stands and how it ended.

    Args:
        found: the pick; without one nothing is drawn.
        on_take: called with the id of the point whose recipe is to go into the sliders.
    """
    if found is None:
        return
    session = f"{opened.session()}:improve"
    task, recipe = bench.task(session), measured.recipes[found.row]
    running = task is not None and not task.status.over

    def start() -> None:
        ranges = (
            frozen(measured, axes, len(bench.names.models)) or front_over(measured, axes).ranges
        )
        plain = asked.utility is None and not asked.trades
        given = improving.payload(
            bench, measured, recipe, axes, ranges,
            weights=now.weights if plain else None, bounds=bounds, criteria=asked,
        )  # fmt: skip
        bench.submit(f"Improving {recipe}", "improve", given, session)
        st.rerun()

    fixed = not recipe.coefficients
    st.button(
        "Improve from here", key="improve", width="stretch", on_click=start,
        disabled=running or fixed or bench.opened is None,
        help="An unmerged model has no sliders to move" if fixed else
        "Follow the models' derivatives to a better recipe, and measure it. Every recipe on the "
        "way becomes a point",
    )  # fmt: skip
    if task is None:
        return
    with st.container(key="improvement", gap="xsmall"):
        _told(measured, axes, task, session, on_take)


def _told(
    measured: Measured, axes: Sequence[Axis], task: Task, session: str,
    on_take: Callable[[str], Any],
) -> None:  # fmt: skip
    """How the run stands, or what it found."""
    if not task.status.over:
        st.text(f"{task.what}: {words(task.status)}.")
        return
    if task.status.state != "done":
        jobs.ending(task, session)
        return
    result = task.handle.result(0)
    with st.container(key="improved", gap=None):
        for sentence in improving.sentences(result):
            st.text(sentence)
    point = str(result["point"])
    if point in measured.row_of:
        row = measured.row_of[point]
        st.text(measured.text(row))
        for axis in axes:
            st.text(f"{axis.label}: {measured.score_text(row, axis.name)}")
        st.button(
            "Use the recipe it found", key="take_improved", width="stretch",
            on_click=on_take, args=(point,),
        )  # fmt: skip
