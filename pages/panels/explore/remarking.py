"""The selected point, in one line above the table, with the user's name, star and note."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from pages.panels.explore import charting, gap, rows
from studio.points.remarks import MOST_NAME, MOST_NOTE, name_of
from studio.points.view import Measured
from studio.workbench import Workbench
from ui import recipe as controls


def line(bench: Workbench, measured: Measured, point: str | None) -> None:
    """The point, however far down its row is; its star, and the panel of the rest.

    Args:
        point: None if the current recipe is not measured.
    """
    with st.container(
        key="selected_point", horizontal=True, vertical_alignment="center", gap="small"
    ):
        if point is None:
            st.text("Click a row or a mark in the chart to load a point's recipe.")
            return
        remark, row = bench.remarks.of(point), measured.row_of[point]
        hidden = " · hidden" if remark.hidden else ""
        st.text(f"Selected: {measured.text(row)} · point {point}{hidden}", width="stretch")
        st.button(
            "Remove the star" if remark.star else "Star", key="star", type="tertiary",
            icon=":material/star:" if remark.star else ":material/star_border:",
            on_click=_say, args=(bench, point), kwargs={"star": not remark.star},
        )  # fmt: skip
        rows.panel(bench, measured, point)
        gap.panel(bench, measured, point)
        with st.popover("Name and note", key="remark"):
            _panel(bench, measured, point)


def _panel(bench: Workbench, measured: Measured, point: str) -> None:
    remark, row = bench.remarks.of(point), measured.row_of[point]
    keys = {name: f"remark_{name}:{point}" for name in ("name", "note", "hidden")}
    st.text_input(
        "Name", controls.anchored(keys["name"], remark.name), MOST_NAME, key=keys["name"],
        placeholder="Your name for this point",
        on_change=_heard, args=(bench, point, "name", keys["name"]),
    )  # fmt: skip
    st.text_area(
        "Note", controls.anchored(keys["note"], remark.note), max_chars=MOST_NOTE,
        key=keys["note"], on_change=_heard, args=(bench, point, "note", keys["note"]),
    )  # fmt: skip
    if not measured.singles[row]:
        st.toggle(
            "Hide this point", controls.anchored(keys["hidden"], remark.hidden),
            key=keys["hidden"],
            help="Leaves it out of the chart and the front until you show hidden points again; "
            "its scores are kept",
            on_change=_heard, args=(bench, point, "hidden", keys["hidden"]),
        )  # fmt: skip
    st.text("Recipe")
    st.code(measured.recipes[row].to_yaml(), language="yaml")


def _heard(bench: Workbench, point: str, name: str, key: str) -> None:
    value = st.session_state[key]
    _say(bench, point, **{name: name_of(value) if name == "name" else value})


def _say(bench: Workbench, point: str, **said: Any) -> None:
    bench.remarks.say({point: replace(bench.remarks.of(point), **said)})
    charting.repick()
