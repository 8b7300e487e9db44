"""The study's objectives: select one to edit or remove it."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from engine.counted import counted
from engine.errors import BadInput
from pages.panels.models import objective_form
from studio.study_text import remove_objective
from studio.workbench import Workbench
from ui import frame as state


def show(bench: Workbench, counts: Mapping[str, int]) -> None:
    """Draw it.

    Args:
        counts: objective -> how many points have a score of it.
    """
    names = list(bench.objective_names)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Objective", names, key="objective_chosen", width=320)
        st.button(
            "Edit", key="edit_objective", on_click=objective_form.edit, args=(bench, name),
            help="Load it into the form below",
        )  # fmt: skip
        with st.popover("Remove…", disabled=len(names) == 1, key="remove_objective"):
            points = counted(counts.get(name, 0), "point")
            st.text(f"{name} will be removed from the study file. Scores of {points} stay in the")
            st.text("workspace: add the same objective again to restore them.")
            if st.button("Remove it", key="remove_objective_now", type="primary"):
                _remove(bench, name, points)
    if len(names) == 1:
        st.text("A study needs at least one objective: add another before removing this one.")


def _remove(bench: Workbench, name: str, points: str) -> None:
    try:
        remove_objective(bench.study.path, name)
    except BadInput as error:
        state.show_problems(error.problems)
        return
    said = f"Removed {name} from the study file. The scores of {points} on it are kept."
    objective_form.restart(bench, said)
