"""The table of points under the chart: what is in it, a click on a row, its file.

The row that is marked is the point whose recipe is in hand: a click anywhere on a row takes its
recipe in hand, a click on the chart marks its row, and a slider that moves off a point unmarks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from cache.arrow import pa
from pages.panels.explore import bounding, charting
from studio.counted import counted
from studio.points import table
from studio.points.view import Axis, Measured
from studio.points.words import front_words
from studio.shared import once
from studio.workbench import Workbench
from ui import recipe as controls
from ui.choices import chosen_axes, kept

KEY = "table"
ROW, HEAD, HEIGHT = 35, 38, 420
"""Pixels: of a row, of the header, of the table at most."""


@dataclass(frozen=True)
class Listed:
    """A table as it is shown.

    Attributes:
        ids: of the points, in the order of the rows.
        matching: how many points are sought, listed or not.
        front: how many points of all are on the front, in words.
    """

    table: pa.Table
    ids: tuple[str, ...]
    matching: int
    front: str


def selected(bench: Workbench, measured: Measured) -> str | None:
    """The point whose recipe is in hand; None where that is not measured."""
    recipe = controls.in_hand(bench.names)
    found = measured.nearest(recipe) if recipe is not None else None
    return measured.ids[found.row] if found is not None and found.exact else None


def panel(bench: Workbench, axes: Sequence[Axis], on_pick: Callable[[str], Any]) -> None:
    """Words, filters and the table, for a fragment.

    Args:
        on_pick: called with the id of the point whose row was chosen.
    """
    measured = bench.measured()
    shown = charting.within(measured, axes, bounding.bounds())
    if not len(shown):
        st.text("No point meets every bound: loosen one under Bounds.")
        return
    chosen = chosen_axes(axes)
    with st.container(horizontal=True, vertical_alignment="center", key="table_line", gap="small"):
        words = st.container(key="words", width="stretch")
        sought = _filters(shown)
        listed = _listed(shown, axes, chosen, sought)
        _download(bench, shown, axes, chosen, sought)
    words.text(_words(listed, len(measured), len(shown), sought))
    point = selected(bench, measured)
    _selected_line(measured, point)
    st.session_state["table_ids"] = listed.ids
    st.session_state["marked"] = point
    _mark(listed.ids.index(point) if point in listed.ids else None)
    st.dataframe(
        listed.table, key=KEY, on_select=_picked, selection_mode=["single-row", "single-cell"],
        hide_index=True, height=min(HEAD + ROW * max(1, len(listed.ids)), HEIGHT), placeholder="",
        column_config=_configured(listed.table.column_names, axes),
        column_order=_ordered(listed.table.column_names, axes),
    )  # fmt: skip
    st.session_state["table_on_pick"] = on_pick


def _picked() -> None:
    """A row was chosen: by its box, or by any of its cells, which come later than its box."""
    said = st.session_state[KEY]["selection"]
    rows = [row for row, _ in said["cells"]] or said["rows"]
    if rows and rows[0] < len(st.session_state["table_ids"]):
        st.session_state["table_on_pick"](st.session_state["table_ids"][rows[0]])
    else:
        st.rerun("table_panel")


def _mark(row: int | None) -> None:
    """Mark a row, and no cell."""
    wanted = {"rows": [] if row is None else [row], "columns": [], "cells": []}
    now = st.session_state.get(KEY)
    if now is None or {name: list(now["selection"][name]) for name in wanted} != wanted:
        st.session_state[KEY] = {"selection": wanted}


def _filters(measured: Measured) -> table.Sought:
    methods = table.methods_of(measured)
    now = kept().setdefault("table_methods", [])
    count = len(table.Sought(frozenset(now) & frozenset(methods)))
    with st.popover(f"Filter ({count})" if count else "Filter", key="table_filter"):
        chosen = st.pills(
            "Methods", methods, selection_mode="multi", key="table_methods",
            default=controls.anchored("table_methods", [each for each in now if each in methods]),
        )  # fmt: skip
    kept()["table_methods"] = chosen
    return table.Sought(frozenset(chosen))


def _listed(
    measured: Measured, axes: Sequence[Axis], chosen: Sequence[Axis], sought: table.Sought
) -> Listed:
    """The table, made again only when the points, the axes or what is sought change."""

    def make() -> Listed:
        front = measured.front_of(chosen)
        there = table.matching(measured, sought)
        rows = table.in_order(front, there)
        ids = tuple(measured.ids[row] for row in rows.tolist())
        found = table.columns(measured, axes, front, rows, certain=False)
        return Listed(found, ids, int(there.sum()), front_words(measured, chosen, front))

    key = ("table", tuple(axes), tuple(chosen), sought)
    found: Listed = once(measured, key, make)
    return found


def _words(listed: Listed, every: int, shown: int, sought: table.Sought) -> str:
    said = [listed.front]
    if shown < every:
        beyond = every - shown
        said.append(f"{counted(beyond, 'point does', 'points do')} not meet the bounds.")
    if sought:
        said.append(f"{counted(listed.matching, 'point matches', 'points match')} the filter.")
    if len(listed.ids) < listed.matching:
        said.append(f"The table has the front and the latest, {len(listed.ids):,} rows.")
    return " ".join(said)


def _selected_line(measured: Measured, point: str | None) -> None:
    """The point in hand, however far down its row is."""
    with st.container(key="selected_point"):
        if point is None:
            st.text("A click on a row or on the chart takes a point's recipe in hand.")
        else:
            st.text(f"Selected: {measured.text(measured.row_of[point])} · point {point}")


def _download(
    bench: Workbench,
    measured: Measured,
    axes: Sequence[Axis],
    chosen: Sequence[Axis],
    sought: table.Sought,
) -> None:
    def written() -> bytes:
        front = measured.front_of(chosen)
        rows = table.in_order(front, table.matching(measured, sought), None)
        return table.to_csv(table.columns(measured, axes, front, rows))

    st.download_button(
        "CSV", written, f"{bench.study.name}.csv", "text/csv", key="table_csv", on_click="ignore",
        icon=":material/download:",
        help="These points with every digit: bounds and filter apply. `front --csv` reads it",
    )  # fmt: skip


def _ordered(names: Sequence[str], axes: Sequence[Axis]) -> list[str]:
    """The columns from left to right: what a point scores stands before what it is made of."""
    scores = [each for axis in axes for each in (axis.name, table.header(axis.name, "stderr"))]
    rest = [table.header(axis.name, of) for axis in axes for of in table.OF_SCORE if of != "stderr"]
    made = [each for each in names if each not in (*scores, *rest)]
    point, front = made[0], made[1]
    return [front, *made[2:3], *scores, *made[3:], *rest, point]


def _configured(names: Sequence[str], axes: Sequence[Axis]) -> dict[str, Any]:
    column = st.column_config
    found: dict[str, Any] = {
        table.MEASURED: column.TextColumn(
            "measured", help="On this machine, or before: shipped with the demo"
        ),
        names[1]: column.CheckboxColumn("front", help="On the front over the axes chosen above"),
    }
    for axis in axes:
        found[axis.name] = column.NumberColumn(axis.label, format="%.3f", help=axis.title)
        for of, label, words in (
            ("stderr", "±", f"One standard error of {axis.name}"),
            ("low", f"{axis.name} low", f"Lower end of the 95 % interval of {axis.name}"),
            ("high", f"{axis.name} high", f"Upper end of the 95 % interval of {axis.name}"),
        ):
            found[table.header(axis.name, of)] = column.NumberColumn(
                label, format="± %.3f" if of == "stderr" else "%.3f", help=words
            )
        found[table.header(axis.name, "n")] = column.NumberColumn(
            f"{axis.name} n", format="%d", help=f"Examples behind {axis.name}"
        )
    start = table.coefficient("")
    for name in names:
        if name.startswith(start):
            found[name] = column.NumberColumn(
                name.removeprefix(start), format="%.2f", help="Coefficient"
            )
    return found
