"""The tables of Sweeps: failed points and past sweeps."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.panels.sweeps import form as sweep_form
from studio.sweeps import queue as sweeping
from studio.sweeps.failing import designs_again, failed_points, failed_rows
from studio.sweeps.words import past_rows
from studio.workbench import Workbench


def failed_panel(bench: Workbench) -> None:
    """Points that failed, why, and again."""
    failed = failed_points(bench)
    if not failed:
        return
    st.text("Failed points")
    st.dataframe(
        pd.DataFrame(failed_rows(failed)),
        hide_index=True,
        height=min(38 + 35 * len(failed), 220),
        key="failed",
    )
    objectives = sweep_form.filled().get("objectives") or list(bench.objective_names)
    missing = [each.recipe for each in failed if each.again]
    if missing and st.button(
        f"Try again: {len(missing)}",
        key="again",
        disabled=bench.opened is None,
        help="Measures them on the objectives chosen on the left",
    ):
        sweeping.enqueue(bench, designs_again(missing), missing, objectives, {})
        st.rerun()


def past_panel(bench: Workbench) -> None:
    """Every sweep there was."""
    queue = sweeping.queue(bench)
    rows = past_rows(queue) if queue is not None else []
    if not rows:
        return
    st.text("Sweeps so far")
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, height=min(38 + 35 * len(rows), 260), key="past",
        column_config={
            "when": st.column_config.DatetimeColumn("when", format="YYYY-MM-DD HH:mm"),
            "points": st.column_config.NumberColumn("points", help="Recipes to measure"),
            "minutes": st.column_config.NumberColumn(
                "minutes", format="%.2f", help="Time on the device"
            ),
        },
    )  # fmt: skip
