"""How much of the gap between two models the selected point closes, on every objective."""

from __future__ import annotations

import streamlit as st

from studio.compare.gaps import Gap, gap_text, gaps
from studio.points.view import Measured
from studio.workbench import Workbench
from ui import recipe as controls

HELP = (
    "(score − from) ÷ (to − from), over the same rows: 0 is as one model, 1 as the other. Blank "
    "where the two are within the noise of each other"
)


def panel(bench: Workbench, measured: Measured, point: str) -> None:
    """A popover for the point; its rows are looked up while it is open."""
    models = [*bench.names.models, *bench.study.references]
    if len(models) < 2:
        return
    opened = st.popover("Gap", key="gap", help=HELP, on_change="rerun")
    with opened:
        if not opened.open:
            return
        left, right = st.columns(2)
        start = _choose(left, "From", "gap_from", models, 0)
        end = _choose(right, "To", "gap_to", models, len(models) - 1)
        if start == end:
            st.text("Choose two models.")
            return
        for name, each in _found(bench, measured, point, (start, end)).items():
            st.text(f"{name}: {gap_text(each)}")


def _choose(place: st.delta_generator.DeltaGenerator, label: str, key: str, models: list[str],
            first: int) -> str:  # fmt: skip
    kept = st.session_state.get(f"{key}_kept")
    at = controls.anchored(key, models.index(kept) if kept in models else first)
    chosen = place.selectbox(label, models, at, key=key)
    st.session_state[f"{key}_kept"] = chosen
    return str(chosen)


def _found(
    bench: Workbench, measured: Measured, point: str, ends: tuple[str, str]
) -> dict[str, Gap]:
    """The gaps on every objective; read again when scores came."""
    key = (bench.store.version, bench.known, point, ends)
    kept = st.session_state.get("gaps")
    if kept is None or kept[0] != key:
        recipe = measured.recipes[measured.row_of[point]]
        kept = key, gaps(bench, recipe, bench.objectives, ends)
        st.session_state["gaps"] = kept
    made: dict[str, Gap] = kept[1]
    return made
