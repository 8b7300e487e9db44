"""The examples of an objective below the columns: wins, filter, table, CSV."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from cache.blobs import Blobs
from engine.recipe import Recipe
from engine.study import Objective
from pages.panels.compare import asking
from pages.panels.compare.asking import Ask
from studio.compare import slices
from studio.compare.filters import filters
from studio.compare.shown_csv import shown_csv
from studio.compare.wins import wins_table, wins_words
from studio.points.titles import name_of, titled
from studio.points.view import Measured
from studio.references import references_of
from studio.workbench import Workbench
from studio.worker_words import waiting_words
from ui import choices, tray
from ui.recipe import anchored

LOW, HIGH = 35, 58
"""Pixels of a row that has one line, and of one that has two or more."""
FITS = 60
"""Letters of a prompt that one line has room for."""


@st.cache_resource(show_spinner=False)
def _blobs(workspace: str) -> Blobs:
    return Blobs(workspace)


def under_tray(bench: Workbench, objective: Objective, count: int) -> slices.Examples:
    """The examples under the tray; read again when scores came, or the data changed.

    Args:
        count: rows of the data now.
    """
    recipes = list(tray.tray())
    names = [name_of(bench, each) for each in recipes]
    key = (bench.store.version, bench.known, objective.name, recipes, names, count)
    kept = st.session_state.get("scored")
    if kept is None or kept[0] != key:
        found = slices.load(bench, objective, recipes, _blobs(str(bench.workspace)))
        kept = (key, found)
        st.session_state["scored"] = kept
    loaded: slices.Examples = kept[1]
    return loaded


def panel(
    bench: Workbench,
    measured: Measured,
    objective: Objective,
    found: slices.Examples,
    ask: Ask,
    evaluation: str,
) -> None:
    """Every example of the objective with each column's value; selected rows become prompts."""
    recipes = list(tray.tray())
    st.subheader("Examples", anchor=False, help="Every example with its value in each column")
    _missing(bench, measured, objective, found, evaluation)
    found = _beside(bench, objective, found)
    references = found.names[len(recipes) :]
    if found.sentences():
        st.text(found.sentences())
    _wins(found)
    shown = _choose(objective, found)
    key = f"examples:{objective.name}:{st.session_state.get('compare_show')}:{len(shown)}"
    columns = found.table(shown)
    texts = (text for name in ("prompt", "target") for text in columns.get(name, ()))
    row = HIGH if any("\n" in text or len(text) > FITS for text in texts) else LOW
    st.dataframe(
        pd.DataFrame(columns), key=key, hide_index=True, selection_mode="multi-row", row_height=row,
        on_select=lambda: _take(ask, key, shown), height=min(38 + row * max(1, len(shown)), 420),
        column_config={
            "line": st.column_config.NumberColumn("line", width=60),
            "prompt": st.column_config.TextColumn("prompt", width="large"),
            "target": st.column_config.TextColumn("target", width="medium"),
        },
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text("Selected rows become the prompts above.", width="stretch")
        st.download_button(
            "Download the rows shown as CSV", 
            lambda: shown_csv(found, shown, recipes, references),
            file_name=f"{bench.study.name}-{objective.name}.csv", mime="text/csv",
            key="examples_csv", on_click="ignore", disabled=not shown,
        )  # fmt: skip


def _beside(bench: Workbench, objective: Objective, found: slices.Examples) -> slices.Examples:
    """The examples with the references that were chosen as further columns."""
    if not bench.study.references:
        return found
    free = tray.LIMIT - len(tray.tray())
    kept = references_of(bench)
    there = kept.columns(list(kept.all), objective, _blobs(str(bench.workspace)))
    chosen = st.multiselect(
        "References", list(there), key="compare_references",
        disabled=not free or not there, placeholder="None",
        help="Further columns: models that are scored and never mixed. Their answers are those "
        "that were scored" if free else "The tray is full: remove one to see references",
    )  # fmt: skip
    return slices.with_references(found, {name: there[name] for name in chosen[:free]})


def _choose(objective: Objective, found: slices.Examples) -> list[int]:
    """Which examples are shown; kept in the session, and in the address."""
    offered = {each.label: each for each in filters(found)}
    labels = list(offered)
    kept = st.session_state.get("compare_show", st.query_params.get("show"))
    turn = st.session_state.get("view_turn", 0)
    key = f"show:{objective.name}:{turn}:{hash(tuple(labels))}"
    at = anchored(key, labels.index(kept) if kept in labels else 0)
    chosen = st.selectbox(
        "Show", labels, index=at, key=key, format_func=lambda label: offered[label].text,
        help="Which examples the table shows",
    )  # fmt: skip
    if chosen != labels[at] or kept in labels:
        st.session_state["compare_show"] = chosen
        choices.remember(show=chosen)
    return list(map(int, offered[chosen].rows))


def _wins(found: slices.Examples) -> None:
    """Who wins over whom, in a line a pair, and in numbers."""
    lines = wins_words(found)
    if not lines:
        return
    with st.container(key="wins", gap="xsmall"):
        for line in lines:
            st.text(line)
    with st.expander("Wins of each pair in numbers"):
        st.text(
            "low and high: Wilson's 95 % interval of the first's share of decided examples. "
            "difference: mean of first − second over the same examples, ± its standard error. "
            "p: exact two-sided sign test."
        )
        share = st.column_config.NumberColumn(format="%.3f")
        st.dataframe(
            pd.DataFrame(wins_table(found)), key="wins_table", hide_index=True,
            column_config=dict.fromkeys(
                ("first's share", "low", "high", "difference", "± error"), share
            )
            | {"p": st.column_config.NumberColumn(format="%.2g")},
        )  # fmt: skip


def _take(ask: Ask, key: str, shown: Sequence[int]) -> None:
    chosen = st.session_state[key]["selection"]["rows"]
    if chosen:
        ask.choose([shown[place] for place in chosen])
        asking.turn_to_rows()


def _missing(
    bench: Workbench,
    measured: Measured,
    objective: Objective,
    found: slices.Examples,
    evaluation: str,
) -> None:
    """Columns without a score on the objective, and the way to one."""
    absent = [
        each
        for each, there in zip(tray.tray(), found.measured, strict=True)
        if not there and not _scoreless(measured, each, objective)
    ]
    if not absent:
        return
    waiting = waiting_words(bench, "Evaluate")
    with st.container(horizontal=True, vertical_alignment="center"):
        names = ", ".join(titled(bench, each) for each in absent)
        st.text(f"Not measured on {objective.name}: {names}", width="stretch")
        if st.button(
            "Evaluate", key="compare_evaluate", disabled=bool(waiting), help=waiting or None
        ):
            bench.evaluate(absent, f"Scoring {', '.join(map(str, absent))}", evaluation)
            st.rerun()


def _scoreless(measured: Measured, recipe: Recipe, objective: Objective) -> bool:
    """Whether it was measured and has no score: its card says why, and a new try says the same."""
    found = measured.nearest(recipe)
    return (
        found is not None
        and found.exact
        and measured.without(found.row, objective.name) is not None
    )
