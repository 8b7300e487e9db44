"""The columns of Compare: the objective they are measured on, and the head of each."""

from __future__ import annotations

import streamlit as st

from engine.errors import MOST, shown
from engine.study import Objective
from studio.compare import comparing
from studio.points.titles import name_of
from studio.points.view import Measured, axes_of
from studio.workbench import Workbench
from ui import choices, tray
from ui.recipe import anchored


def tell_unknown() -> None:
    """Names in the address's tray that this study does not have."""
    unknown = st.session_state.get("tray_unknown", ())
    for name in unknown[:MOST]:
        st.text(f"This study has no {shown(name, most=80)}.")
    if len(unknown) > MOST:
        st.text(f"The address names {len(unknown) - MOST} more unknown ones.")


def choose_objective(bench: Workbench) -> Objective:
    """The objective's selectbox; kept in the session, and in the address."""
    by_name = {axis.name: axis for axis in axes_of(bench.objectives)}
    names = list(by_name)
    kept = st.session_state.get("compare_objective", st.query_params.get("objective"))
    key = f"compare_objective_box:{st.session_state.get('view_turn', 0)}"
    at = anchored(key, names.index(kept) if kept in names else 0)
    chosen = st.selectbox(
        "Objective", names, index=at, key=key, format_func=lambda name: by_name[name].label
    )
    st.session_state["compare_objective"] = chosen
    choices.remember(objective=chosen)
    return next(each for each in bench.objectives if each.name == chosen)


def heads(bench: Workbench, measured: Measured, objective: Objective) -> None:
    """The head of each column: name, method, coefficients, score, and a button to remove it."""
    [axis] = axes_of([objective])
    for place, (each, card) in enumerate(
        zip(tray.tray(), st.columns(len(tray.tray()), border=True), strict=True)
    ):
        found = measured.nearest(each)
        score = "not measured"
        if found is not None and found.exact:
            score = measured.score_text(found.row, objective.name)
        with card.container(key=f"card:{place}", gap="xxsmall"):
            first, *more = comparing.head_lines(each, name_of(bench, each))
            with st.container(horizontal=True, wrap=False):
                st.text(f"{comparing.LETTERS[place]} · {first}", width="stretch")
                st.button(
                    "Remove", key=f"remove:{each.key}", type="tertiary", icon=":material/close:",
                    on_click=tray.remove, args=(each,),
                )  # fmt: skip
            for line in more:
                st.text(line)
            st.text(f"{axis.label}  {score}")
