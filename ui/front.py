"""The front of a page: its objectives, chosen once for all pages and kept in the address.

Chart, table, Parallel, preference, tray and hypervolume take it from here.
"""

from __future__ import annotations

import streamlit as st

from engine.counted import counted
from studio.decide.front import names_text, varying
from studio.points.view import Axis, axes_of
from studio.workbench import Workbench
from ui.choices import kept, remember, view_key
from ui.recipe import anchored

ADDRESS = "over"

FITS = 22
"""Characters of the objectives' names beside the other choices of a window 1280 wide."""


def front_axes(bench: Workbench) -> tuple[Axis, ...]:
    """The objectives the front is over: those chosen, in the study's order, else those that are not
    the same at every point."""
    axes = axes_of(bench.objectives)
    if ADDRESS not in kept():
        kept()[ADDRESS] = tuple(st.query_params.get(ADDRESS, "").split(","))
    chosen = tuple(axis for axis in axes if axis.name in kept()[ADDRESS])
    return chosen or varying(bench.measured(), axes)


def choose_front(bench: Workbench) -> tuple[Axis, ...]:
    """Draw the control; the objectives chosen. Another choice draws the whole page again."""
    axes = axes_of(bench.objectives)
    over = front_axes(bench)
    names = [axis.name for axis in over]
    standard = varying(bench.measured(), axes)
    made = st.session_state.get("front_made", 0)
    turn = f"{made}:{','.join(axis.name for axis in standard)}"
    key = view_key(f"front_over:{turn}")

    def heard() -> None:
        chosen = st.session_state.get(key) or ()
        if chosen:
            kept()[ADDRESS] = tuple(chosen)
        else:  # a front is over something: what there was is shown again
            st.session_state["front_made"] = made + 1
        st.rerun()

    def reset() -> None:
        kept()[ADDRESS] = ()
        st.session_state["front_made"] = made + 1
        st.rerun()

    said = names_text(over)
    with st.popover(
        f"Front over: {said if len(said) <= FITS else counted(len(over), 'objective')}",
        key="front_over",
        help="A point is on the front if no other is at least as good on all of these objectives "
        "and better on one. Every page uses this front.",
    ):  # fmt: skip
        if len(axes) > 1:
            st.pills(
                "Front over", [axis.name for axis in axes], key=key, selection_mode="multi",
                default=anchored(key, names), on_change=heard,
                format_func={axis.name: axis.label for axis in axes}.__getitem__,
            )  # fmt: skip
        st.text(
            "Default: every objective that is not constant over all points."
            if len(axes) > 1
            else "This study has one objective: the front is its best score."
        )
        if over != standard:
            st.button("Reset to default", key="front_reset", on_click=reset)
    remember(**{ADDRESS: ",".join(names) if over != standard else None})
    return over
