"""What became of the rows under the selected point: counts, each a way into Compare."""

from __future__ import annotations

import streamlit as st

from engine.recipe import Recipe, resolve, unmerged
from studio.compare.comparing import LETTERS
from studio.compare.outcomes import KINDS, WORDS, Outcomes, label, outcomes, parents_of
from studio.points.view import Measured
from studio.workbench import Workbench
from ui import frame as state
from ui import tray

HELP = (
    "Rows that it kept, lost, or won though every parent fails: the models it is made of. A number "
    "opens its rows in Compare"
)


def panel(bench: Workbench, measured: Measured, point: str) -> None:
    """A popover for the point; its rows are looked up while it is open."""
    row = measured.row_of[point]
    if measured.singles[row]:
        return
    opened = st.popover("Rows", key="rows", help=HELP, on_change="rerun")
    with opened:
        if not opened.open:
            return
        recipe = measured.recipes[row]
        st.text(f"Against {', '.join(parents_of(recipe, bench.names))}:")
        for name, each in _found(bench, recipe).items():
            if isinstance(each, str):
                st.text(f"{name}: {each}.")
            else:
                _line(bench, recipe, name, each)


def _found(bench: Workbench, recipe: Recipe) -> dict[str, Outcomes | str]:
    """What became of every objective's rows; read again when scores came."""
    key = (bench.store.version, bench.known, recipe)
    kept = st.session_state.get("outcomes")
    if kept is None or kept[0] != key:
        kept = key, outcomes(bench, recipe, bench.objectives)
        st.session_state["outcomes"] = kept
    made: dict[str, Outcomes | str] = kept[1]
    return made


def _line(bench: Workbench, recipe: Recipe, name: str, found: Outcomes) -> None:
    error = f" ± {found.stderr:.3f}" if found.n > 1 else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.text(
            f"{name}: net {found.net:+.3f}{error} of {found.n}", width="stretch",
            help="Share that is right less the share that some parent has right, over the same "
            "rows, ± its standard error",
        )  # fmt: skip
        for kind in KINDS:
            pressed = st.button(
                f"{kind} {found.counts[kind]}", key=f"rows:{name}:{kind}",
                disabled=not found.counts[kind],
                help=f"{WORDS[kind].capitalize()}. Shows them in Compare, in place of what is in "
                "the tray",
            )  # fmt: skip
            if pressed:
                _open(bench, recipe, name, kind, found.rows[kind].tolist())


def _open(
    bench: Workbench, recipe: Recipe, objective: str, kind: str, rows: list[int]
) -> None:  # fmt: skip
    """Compare, with the point and as many of its parents as it has room for, on these rows."""
    parents = [resolve(unmerged(each), bench.names) for each in parents_of(recipe, bench.names)]
    kept = tray.tray()
    kept[:] = [recipe, *parents][: tray.LIMIT]
    st.session_state["compare_objective"] = objective
    st.session_state["compare_rows"] = rows
    st.session_state["compare_show"] = label(LETTERS[0], kind)
    st.session_state["view_turn"] = st.session_state.get("view_turn", 0) + 1
    st.switch_page(state.page("compare"))
