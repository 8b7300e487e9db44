"""The scores of the model that is written, and its recipe as a file."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from studio.export import exports
from studio.export.model import Model
from studio.glossary import WORDS
from studio.points.view import Measured, axes_of
from studio.workbench import Workbench
from studio.worker_words import waiting_words

NOTE = (
    "± is one standard error, [ ] a 95 % interval. Held-back rows are scored once, at export. "
    "They may be worse, because this point was selected on the explored rows."
)


def panel(bench: Workbench, measured: Measured, model: Model, evaluation: str) -> None:
    """The point's scores on the explored rows, beside those on held-back rows.

    Args:
        evaluation: the session under which a model without scores is measured.
    """
    if model.point is None:
        _evaluate(bench, model, evaluation)
    else:
        axes = axes_of(bench.objectives)
        rows = exports.score_table(measured, model.point, axes, bench.reported(model.recipe))
        st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", key="export_scores")
        with st.container(key="export_note"):
            st.text(NOTE, help=WORDS["held back"])
    with st.expander("As a recipe file"):
        st.code(model.recipe.to_yaml(), language="yaml")


def _evaluate(bench: Workbench, model: Model, evaluation: str) -> None:
    """If the model has not been scored, say so and offer to evaluate it."""
    waiting = waiting_words(bench, "Evaluate")
    st.text(
        "This model has not been scored. Evaluate it first, or export it now: held-back rows are "
        "scored at export in any case."
    )
    running = (task := bench.task(evaluation)) is not None and not task.status.over
    if st.button(
        "Evaluate", key="evaluate_first", disabled=running or bool(waiting),
        help=waiting or "Score this recipe on every objective and add it as a point",
    ):  # fmt: skip
        bench.evaluate([model.recipe], f"Scoring {model.recipe}", evaluation)
        st.rerun()
