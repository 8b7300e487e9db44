"""The table of points under the chart: contents, selection, download.

The selected row is the point whose recipe is loaded: clicking anywhere on a row loads its recipe,
clicking the chart selects the row, and moving a slider off a point deselects it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from cache.arrow import pa
from engine.counted import counted
from pages.panels.explore import bounding, remarking
from studio.decide.bounds import within
from studio.decide.front import names_text
from studio.decide.noise import Known, noise, sure_of
from studio.external.points import External
from studio.external.points import within as meeting
from studio.external.table import with_external
from studio.glossary import WORDS
from studio.points import table
from studio.points.file import FORMATS, of_measured
from studio.points.late import Told
from studio.points.remarks import Remark
from studio.points.view import Axis, Measured
from studio.points.words import front_words
from studio.references import beside
from studio.shared import once
from studio.workbench import Workbench
from ui import recipe as controls
from ui.choices import chosen_axes, kept, visible
from ui.front import front_axes

KEY = "table"
MIME = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
FIRST = "front"
"""The column on the left."""
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
    """The point whose recipe is in hand; None if that is not measured."""
    recipe = controls.in_hand(bench.names)
    found = measured.nearest(recipe) if recipe is not None else None
    return measured.ids[found.row] if found is not None and found.exact else None


def panel(bench: Workbench, axes: Sequence[Axis], on_pick: Callable[[str], Any]) -> None:
    """Words, filters and the table, for a fragment.

    Args:
        on_pick: called with the id of the point whose row was chosen.
    """
    every = bench.measured()
    seen = visible(bench)
    shown = within(seen, axes, bounding.bounds())
    point = selected(bench, every)
    if not len(shown):
        st.text("No point meets every bound: loosen one under Bounds.")
        remarking.line(bench, every, point)
        return
    over, chosen = front_axes(bench), chosen_axes(axes)
    remarks, externals = bench.remarks.all(), _externals(bench)
    sure = noise(bench).known(seen, over, bounding.bounds())
    with st.container(horizontal=True, vertical_alignment="center", key="table_line", gap="small"):
        words = st.container(key="words", width="stretch")
        sought = _filters(shown)
        listed = _listed(shown, axes, over, chosen, sought, remarks, externals, sure)
        _download(bench, shown, axes, over, sought, sure)
    said = [listed.front]
    if beyond := len(seen) - len(shown):
        said.append(f"{counted(beyond, 'point does', 'points do')} not meet the bounds.")
    if hidden := len(every) - len(seen):
        said.append(f"{counted(hidden, 'point is', 'points are')} hidden.")
    if sought:
        said.append(f"{counted(listed.matching, 'point matches', 'points match')} the filter.")
    if len(listed.ids) < listed.matching:
        said.append(f"The table shows the front and the latest points, {len(listed.ids):,} rows.")
    if externals and not sought:
        said.append(f"{counted(len(externals), 'external point')} below them.")
    words.text(" ".join(said), help=WORDS["front"])
    remarking.line(bench, every, point)
    st.session_state["table_ids"] = listed.ids
    st.session_state["marked"] = point
    _mark(listed.ids.index(point) if point in listed.ids else None)
    st.dataframe(
        listed.table, key=KEY, on_select=_picked, selection_mode=["single-row", "single-cell"],
        hide_index=True, height=min(HEAD + ROW * max(1, len(listed.table)), HEIGHT), placeholder="",
        column_config=_configured(listed.table, axes, over),
        column_order=_ordered(listed.table.column_names, axes, remarks, bool(externals)),
    )  # fmt: skip
    st.session_state["table_on_pick"] = on_pick


def _picked() -> None:
    """A row was chosen: by its box, or by any of its cells, which come later than its box. What the
    browser says because it has not yet heard of the last mark is no choice."""
    said = _said()
    if _told().is_late(said, time.monotonic()):
        st.rerun("table_panel")
    # the keyboard enters a table at its first column: passing through it chooses nothing
    entered = any(column == FIRST for _, column in said["cells"])
    rows = [] if entered else [row for row, _ in said["cells"]] or said["rows"]
    if rows and rows[0] < len(st.session_state["table_ids"]):
        st.session_state["table_on_pick"](st.session_state["table_ids"][rows[0]])
    else:
        st.rerun("table_panel")


def _mark(row: int | None) -> None:
    """Mark a row, and no cell but where the keyboard stands."""
    wanted: dict[str, list[Any]] = {"rows": [] if row is None else [row], "columns": []}
    said = _said()
    wanted["cells"] = [each for each in said.get("cells", ()) if each[1] == FIRST]
    if said != wanted:
        _told().replace(said, time.monotonic())
        st.session_state[KEY] = {"selection": wanted}


def _said() -> dict[str, list[Any]]:
    """The selection reported by the browser; empty if there was no table."""
    now = st.session_state.get(KEY)
    return {} if now is None else {name: list(each) for name, each in now["selection"].items()}


def _told() -> Told:
    found: Told = st.session_state.setdefault("table_told", Told())
    return found


def _filters(measured: Measured) -> table.Sought:
    """What the table is narrowed to; the widgets say it before they are drawn again."""
    methods = table.methods_of(measured)
    before, said = kept().setdefault("sought", table.Sought()), st.session_state
    text, starred, mine = (
        said.get(f"sought_{name}", getattr(before, name)) for name in ("text", "starred", "mine")
    )
    chosen = frozenset(said.get("sought_methods", before.methods)) & frozenset(methods)
    now = kept()["sought"] = table.Sought(chosen, text.strip(), starred, mine)
    with st.popover(f"Filter ({len(now)})" if now else "Filter", key="table_filter"):
        at = controls.anchored("sought_text", now.text)
        st.text_input("Name, note or id contains", at, key="sought_text")
        at = controls.anchored("sought_methods", [each for each in methods if each in chosen])
        st.pills("Methods", methods, selection_mode="multi", default=at, key="sought_methods")
        at = controls.anchored("sought_starred", now.starred)
        st.toggle("Starred", at, key="sought_starred")
        at = controls.anchored("sought_mine", now.mine)
        st.toggle(
            "Mine", at, key="sought_mine", help="Named, starred, or measured by Evaluate here"
        )
    return now


def _listed(
    measured: Measured,
    axes: Sequence[Axis],
    over: Sequence[Axis],
    chosen: Sequence[Axis],
    sought: table.Sought,
    remarks: Mapping[str, Remark],
    externals: tuple[External, ...],
    sure: Known | None,
) -> Listed:
    """The table, made again only when points, remarks, axes or what is sought change; what others
    measured is below the points, where none are sought."""

    def make() -> Listed:
        front = measured.front_of(over)
        there = table.matching(measured, sought, remarks)
        rows = table.in_order(front, there)
        ids = tuple(measured.ids[row] for row in rows.tolist())
        found = table.columns(
            measured, axes, front, rows, remarks, certain=False, modelled=True,
            sure=sure_of(sure, measured.ids),
        )  # fmt: skip
        found = with_external(found, () if sought else externals, axes)
        return Listed(found, ids, int(there.sum()), front_words(measured, over, chosen))

    said = frozenset(remarks.items())
    key = ("table", tuple(axes), tuple(over), tuple(chosen), sought, said, externals, sure)
    found: Listed = once(measured, key, make)
    return found


def _download(
    bench: Workbench,
    measured: Measured,
    axes: Sequence[Axis],
    over: Sequence[Axis],
    sought: table.Sought,
    sure: Known | None,
) -> None:
    def written(made: Callable[[pa.Table], bytes]) -> bytes:
        front, remarks = measured.front_of(over), bench.remarks.all()
        rows = table.in_order(front, table.matching(measured, sought, remarks), None)
        known = sure_of(sure, measured.ids)
        return made(of_measured(measured, axes, front, rows, remarks, known))

    for ending, made in FORMATS.items():
        kind = ending.removeprefix(".")
        st.download_button(
            "CSV" if kind == "csv" else "Parquet", partial(written, made),
            f"{bench.study.name}{ending}", MIME[kind], key=f"table_{kind}", on_click="ignore",
            icon=":material/download:",
            help="Download these points in full precision with their recipes, the front marked, "
            "with bounds and filter applied; `front --csv` reads the file",
        )  # fmt: skip


def _externals(bench: Workbench) -> tuple[External, ...]:
    """References and what others measured, within the bounds."""
    return tuple(meeting(beside(bench), bounding.bounds()))


def _ordered(
    names: Sequence[str], axes: Sequence[Axis], remarks: Mapping[str, Remark], external: bool
) -> list[str]:
    """The columns from left to right: scores before the recipe.

    Args:
        external: whether there are external points, which are known by their names.
    """
    scores = [each for axis in axes for each in (axis.name, table.header(axis.name, "stderr"))]
    rest = [table.header(axis.name, of) for axis in axes for of in table.OF_SCORE if of != "stderr"]
    own = [each for each in names if each not in (*scores, *rest)]
    point, name, star, _, front, *made = own
    sure = [made.pop(0)] if made[0].endswith(table.SURE) else []
    method = made.pop(0)
    said = [star] if any(each.star for each in remarks.values()) else []
    said += [name] if external or any(each.name for each in remarks.values()) else []
    return [front, *sure, *said, method, *scores, *made, *rest, point]


def _configured(listed: pa.Table, axes: Sequence[Axis], over: Sequence[Axis]) -> dict[str, Any]:
    column, names = st.column_config, listed.column_names
    found: dict[str, Any] = {
        table.MEASURED: column.TextColumn(
            "measured", help="Measured on this machine, or shipped with the demo"
        ),
        names[1]: column.TextColumn("name", width="medium"),
        names[2]: column.CheckboxColumn("★", help="Starred"),
        names[4]: column.CheckboxColumn("front", help=f"On the front over {names_text(over)}"),
    }
    if names[5].endswith(table.SURE):
        found[names[5]] = column.NumberColumn(
            "p", format="%.2f", width=50,
            help="Probability of being on the front, under the noise of the scores",
        )  # fmt: skip
    for axis in axes:
        found[axis.name] = column.NumberColumn(axis.label, format="%.3f", help=axis.title)
        for of, label, words in (
            ("stderr", "±", f"One standard error of {axis.name}"),
            ("low", f"{axis.name} low", f"Lower end of the 95 % interval of {axis.name}"),
            ("high", f"{axis.name} high", f"Upper end of the 95 % interval of {axis.name}"),
        ):
            error, name = of == "stderr", table.header(axis.name, of)
            found[name] = column.NumberColumn(
                label, format="± %.3f" if error else "%.3f", help=words,
                width=_wide_enough(listed[name]) if error else None,
            )  # fmt: skip
        found[table.header(axis.name, "n")] = column.NumberColumn(
            f"{axis.name} n", format="%d", help=f"Number of examples of {axis.name}"
        )
    start = table.coefficient("")
    for name in names:
        if name.startswith(start):
            found[name] = column.NumberColumn(
                name.removeprefix(start), format="%.2f", help="Coefficient"
            )
    return found


def _wide_enough(errors: pa.ChunkedArray) -> int:
    """Pixels for the longest error; the browser measures the first rows, which may have none."""
    known = errors.drop_null()
    longest = max(known.to_numpy()) if len(known) else 0.0
    return 18 + 6 * len(f"± {longest:.3f}")
