"""The chart of Sweeps: how much the front gained with each evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from studio.glossary import WORDS
from studio.points.view import Axis, Measured
from studio.sweeps import figure as sweep_figure
from studio.sweeps.words import reference_words
from studio.workbench import Workbench
from ui import components
from ui.front import choose_front


def panel(bench: Workbench) -> None:
    """How much each evaluation added to the front."""
    measured = bench.measured()
    chosen = choose_front(bench)
    with st.container(height=sweep_figure.HEIGHT + 70, border=False, key="sweep_chart_panel"):
        reference = sweep_figure.reference_of(measured, chosen, len(bench.names.models))
        if reference is None:
            st.text(
                "Once the models are scored, this chart shows how the hypervolume grows with "
                "the points."
            )
            return
        if sweep_figure.too_many(int(measured.front_of(chosen).sum()), len(chosen)):
            st.text(
                f"The hypervolume over {len(chosen)} objectives of a front this large takes too"
                " long: choose fewer under Front over."
            )
            return
        found, data = _drawn(measured, chosen, reference)
        said = f"{WORDS['hypervolume']} {WORDS['reference']}"
        st.text(reference_words(found, chosen, reference), help=said)
        components.chart(data, key="sweep_chart", on_click=lambda: None)


def _drawn(
    measured: Measured, chosen: Sequence[Axis], reference: np.ndarray
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
