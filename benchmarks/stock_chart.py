"""The baseline of ui_latency: a page of stock elements, one slider and one `st.plotly_chart`.

Served by ui_latency with the number of points in $POINTS; draws as many points as the app does.
"""

from __future__ import annotations

import os

import numpy as np
import plotly.graph_objects as go
import streamlit as st

count = int(os.environ.get("POINTS", "10000"))


@st.cache_data
def cloud() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 2))


def main() -> None:
    moved = st.slider("coefficient", 0.0, 1.5, 0.5, step=0.01, key="coefficient")
    points = cloud()
    figure = go.Figure(
        [
            go.Scattergl(x=points[:, 0], y=points[:, 1], mode="markers", name="measured"),
            go.Scatter(x=[moved], y=[moved], mode="markers", name="here", marker={"size": 16}),
        ]
    )
    figure.update_layout(uirevision="constant", height=438)
    st.plotly_chart(figure, key="chart")
    st.text(f"coefficient {moved:.2f}")


main()
