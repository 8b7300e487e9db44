"""The chart of Sweeps: how much the front gained with each evaluation."""

from __future__ import annotations

import numpy as np
import streamlit as st

from studio.glossary import WORDS
from studio.points.view import Axis, Measured, axes_of
from studio.sweeps import figure as sweep_figure
from studio.sweeps.words import reference_words
from studio.workbench import Workbench
from ui import components
from ui.recipe import anchored


def panel(bench: Workbench) -> None:
    """What each evaluation brought, over the objectives chosen."""
    measured = bench.measured()
    chosen = _axes(bench)
    with st.container(height=sweep_figure.HEIGHT + 70, border=False, key="sweep_chart_panel"):
        if not chosen:
            st.text("Choose an objective.")
            return
        reference = sweep_figure.reference_of(measured, chosen, len(bench.names.models))
        if reference is None:
            st.text("Here the hypervolume grows with the points, once the models are scored.")
            return
        found, data = _drawn(measured, chosen, reference)
        st.text(reference_words(found, chosen, reference), help=WORDS["reference"])
        components.chart(data, key="sweep_chart", on_click=lambda: None)


def _axes(bench: Workbench) -> list[Axis]:
    """Over which objectives the hypervolume is."""
    axes = {axis.name: axis for axis in axes_of(bench.objectives)}
    names = list(axes)
    if len(names) == 1:
        return [axes[names[0]]]
    kept = st.session_state.setdefault("hypervolume_over", names[: sweep_figure.MOST])
    found = st.multiselect(
        "Hypervolume over",
        names,
        default=anchored("hypervolume_axes", kept),
        key="hypervolume_axes",
        help=WORDS["hypervolume"],
        max_selections=sweep_figure.MOST,
        format_func=lambda name: axes[name].label,
    )
    st.session_state["hypervolume_over"] = found
    return [axes[name] for name in found]


def _drawn(
    measured: Measured, chosen: list[Axis], reference: np.ndarray
) -> tuple[sweep_figure.Curve, components.Drawing]:
    """The curve and its drawing; made again only for other points or other objectives."""
    kept = st.session_state.get("sweep_curve")
    names = tuple(axis.name for axis in chosen)
    if kept is None or kept[0] is not measured or kept[1] != names:
        values = sweep_figure.evaluations(measured, chosen)
        old = kept[2] if kept is not None and kept[1] == names else None
        found = sweep_figure.curve(values, [a.maximize for a in chosen], reference, old)
        figure = sweep_figure.hypervolume_figure(found)
        kept = (measured, names, found, components.drawing(figure))
        st.session_state["sweep_curve"] = kept
    return kept[2], kept[3]
