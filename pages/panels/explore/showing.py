"""How a chart shows its points apart from their position: colours, log axes, download."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from studio import csv_text
from studio.charts import colouring
from studio.charts.drawn import drawn
from studio.charts.labels import named
from studio.charts.logarithmic import logarithmic
from studio.points import table
from studio.points.view import Axis, Measured
from studio.shared import once
from studio.workbench import Workbench
from ui import components
from ui.choices import NONE, choose, kept, remember, view_key
from ui.recipe import anchored


def choose_colour(place: DeltaGenerator, measured: Measured, axes: Sequence[Axis]) -> str:
    """What colours the marks; `NONE` for their method's shape alone."""
    names: list[str] = once(measured, ("names",), lambda: colouring.coefficient_names(measured))
    labels = {NONE: "by kind"} | {axis.name: axis.label for axis in axes}
    labels |= {f"c:{name}": f"coefficient of {name}" for name in names}
    return choose(place, "Colour", "colour", list(labels), NONE, labels.__getitem__)


def coloured(
    figure: dict[str, Any], measured: Measured, axes: Sequence[Axis], colour: str
) -> dict[str, Any]:
    """The figure in the colours chosen."""
    if colour == NONE:
        return figure
    by_name = {axis.name: axis for axis in axes}
    by = (
        colouring.by_objective(measured, by_name[colour])
        if colour in by_name
        else colouring.by_coefficient(measured, colour.removeprefix("c:"))
    )
    return colouring.coloured(figure, measured, by)


def finished(
    figure: dict[str, Any],
    measured: Measured,
    axes: Sequence[Axis],
    chosen: Sequence[Axis],
    colour: str,
) -> dict[str, Any]:
    """A figure with its names placed, its axes logarithmic where they are to be, and coloured.

    Args:
        axes: the study's.
        chosen: the figure's, in the order of its letters.
    """
    figure = named(logarithmic(figure, chosen, on_log(chosen)))
    return coloured(figure, measured, axes, colour)


def choose_log(axes: Sequence[Axis]) -> None:
    """Whether what is best read on a logarithmic axis stands on one; offered where there is any."""
    those = [axis.name for axis in axes if axis.log]
    if not those:
        return
    key = view_key("log")
    now = kept().setdefault("log", st.session_state["addressed"].get("log") != "0")
    kept()["log"] = st.toggle(
        "Log scale", anchored(key, now), key=key,
        help=f"Use logarithmic axes for: {', '.join(those)}",
    )  # fmt: skip
    remember(log=None if kept()["log"] else "0")


def on_log(axes: Sequence[Axis]) -> frozenset[str]:
    """The objectives that stand on a logarithmic axis now."""
    return frozenset(axis.name for axis in axes if axis.log and kept().get("log", True))


def download(
    bench: Workbench,
    measured: Measured,
    axes: Sequence[Axis],
    front: np.ndarray,
    drawing: components.Drawing,
) -> None:
    """A file of the points that a chart draws, as numbers with errors and counts.

    Args:
        axes: the study's.
        front: bool [points].
    """

    def written() -> bytes:
        rows = drawn(json.loads(drawing.text), measured)
        return csv_text.of_table(table.columns(measured, axes, front, rows, bench.remarks.all()))

    st.download_button(
        "Chart CSV", written, f"{bench.study.name} chart.csv", "text/csv", key="chart_csv",
        on_click="ignore", icon=":material/download:", type="tertiary",
        help="Download the points in this chart: every score with its standard error and number "
        "of examples",
    )  # fmt: skip
