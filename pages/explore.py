"""Explore: sliders on the right, what each mixture gives up and gains on the left."""

from __future__ import annotations

import hashlib
import json

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.recipe import METHODS, Recipe
from pages.parts import components, controls, figures, jobs, state
from pages.parts.view import Axis, Measured, axes_of
from pages.parts.words import front_words, readout, rows

backend = state.enter("Explore")
axes = axes_of(backend.objectives)
by_name = {axis.name: axis for axis in axes}
evaluation = f"{state.session()}:evaluate"


NONE = "–"  # no objective can have this name


def restore(measured: Measured) -> None:
    """Once a session: what the URL names. A point waits until points can be known."""
    if "addressed" not in st.session_state:
        asked = st.query_params.to_dict()
        st.session_state["addressed"] = asked
        if asked.get("method") in METHODS:
            controls.hand().method = asked["method"]
    if "restored" not in st.session_state and backend.known is not None:
        st.session_state["restored"] = True
        row = measured.row_of.get(st.session_state["addressed"].get("point", ""))
        if row is not None:
            controls.hand().load(measured.recipes[row])


def remember(**values: str | None) -> None:
    """Keep the URL a way back to this view."""
    for name, value in values.items():
        if st.query_params.get(name) == value:
            continue
        if value is not None:
            st.query_params[name] = value
        else:
            del st.query_params[name]


def load_point(point: str | None) -> None:
    """A point was chosen on the chart or in the table: its recipe goes into the sliders."""
    row = backend.measured().row_of.get(point or "")
    if row is not None:
        controls.hand().load(backend.measured().recipes[row])


def clicked() -> None:
    load_point(st.session_state["chart"].get("clicked"))
    st.rerun("controls")


def picked() -> None:
    chosen = st.session_state["table"]["selection"]["rows"]
    if chosen:
        load_point(st.session_state["table_ids"][chosen[0]])
    st.rerun("controls")


def choose_axis(place: DeltaGenerator, label: str, name: str, default: str) -> str | None:
    """One objective's selectbox; what was chosen is kept from page to page."""
    options = [*by_name] if default in by_name else [NONE, *by_name]
    kept = st.session_state.setdefault("axes", {})
    if name not in kept:
        asked = st.session_state["addressed"].get(name)
        kept[name] = asked if asked in by_name else default
    kept[name] = place.selectbox(
        label, options, index=controls.anchored(name, options.index(kept[name])), key=name,
        format_func=lambda each: by_name[each].label if each in by_name else "none",
        disabled=default == NONE and len(by_name) < 3,
    )  # fmt: skip
    return kept[name] if kept[name] in by_name else None


def choose_axes() -> list[Axis]:
    """Two or three objectives."""
    first, second, third = st.columns(3)
    names = list(by_name)
    x = choose_axis(first, "Across", "x", names[0])
    y = choose_axis(second, "Up", "y", names[min(1, len(names) - 1)])
    z = choose_axis(third, "Depth", "z", NONE)
    remember(x=x, y=y, z=z)
    chosen = [x, y] if z in (None, x, y) else [x, y, z]
    return [by_name[name] for name in chosen if name is not None]


def drawn(measured: Measured, chosen: list[Axis]) -> tuple[bytes, pd.DataFrame, str]:
    """Figure and table, made again only when points or axes changed."""
    key = (id(measured), tuple(axis.name for axis in chosen))
    kept = st.session_state.get("drawn")
    if kept is None or kept[0] != key:
        front = measured.front_of(chosen)
        figure = figures.tradeoff(measured, chosen, front)
        revision = hashlib.blake2b(json.dumps(figure).encode(), digest_size=8).hexdigest()
        words = front_words(measured, chosen, front)
        table = pd.DataFrame(rows(measured, axes, front))
        # the measured points are kept with the key: an id is only unique while its object lives
        kept = (key, measured, components.packed(revision, figure), table, words)
        st.session_state["drawn"] = kept
    return kept[2], kept[3], kept[4]


@st.fragment(key="chart_panel")
def chart_panel() -> None:
    measured = backend.measured()
    chosen = choose_axes()
    data, table, words = drawn(measured, chosen)
    components.chart(data, key="chart", on_click=clicked)
    if not len(measured):
        jobs.first_steps(backend)
        return
    bars = "" if len(measured) <= figures.BARS_UP_TO else " of the front and the models"
    with st.container(key="words"):
        st.text(f"{words} Bars{bars} and ± are one standard error. A click loads a point's recipe.")
    st.session_state["table_ids"] = table["point"].tolist()
    st.dataframe(
        table, key="table", on_select=picked, selection_mode="single-row", hide_index=True,
        height=min(38 + 35 * len(table), 420),
        column_config={
            "front": st.column_config.CheckboxColumn(
                "front", help="On the front over the axes chosen above"
            ),
            "recipe": st.column_config.TextColumn("recipe", width="large"),
        },
    )  # fmt: skip


def start_evaluation(recipe: Recipe) -> None:
    backend.evaluate([recipe], f"Scoring {recipe}", evaluation)
    st.rerun()


@st.fragment(key="controls")
def recipe_panel() -> None:
    measured = backend.measured()
    with st.container(key="controls"):
        recipe, refusal = controls.recipe_in_hand(backend.study, backend.names)
    if recipe is None:
        st.text(refusal)
        return
    if controls.find_method(recipe.method).simplex:
        st.text(f"Shares: {controls.shares(recipe)}")
    shown = readout(measured, axes, recipe)
    components.readout(shown | {"recipe": recipe.key})
    found = measured.nearest(recipe)
    exact = found is not None and found.exact
    point = measured.ids[found.row] if exact else None
    whole = exact and measured.complete(found.row)
    if "restored" in st.session_state:
        remember(method=recipe.method, point=point)
    left, right = st.columns(2)
    left.button(
        "Evaluate", key="evaluate", type="primary", width="stretch",
        disabled=whole or backend.opened is None,
        help="Measured already" if whole else None,
        on_click=start_evaluation, args=(recipe,),
    )  # fmt: skip
    with right.container(key="export"):
        # a link: the browser itself leaves this page, its timers with it (see place.py)
        st.page_link(
            state.page("export"), label="Export…", width="stretch", disabled=not exact,
            query_params={"point": point} if point is not None else None,
            help=None if exact else "Evaluate the recipe first",
        )  # fmt: skip


components.library()
restore(backend.measured())
wide, narrow = st.columns([2.6, 1], gap="medium")
with narrow:
    recipe_panel()
    with st.container(key="explore_activity", gap="xsmall"):
        jobs.activity(backend, (evaluation, "singles"))
with wide:
    chart_panel()
