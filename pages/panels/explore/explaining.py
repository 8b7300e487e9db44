"""Why this one: the pick explained in sentences, in an expander under it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.front.criteria import Criteria
from studio.decide.front import frozen, scale_words
from studio.decide.picking import Pick
from studio.decide.preference import Preference
from studio.decide.why import why, why_useful
from studio.points.view import Axis, Measured
from studio.workbench import Workbench


def explain(
    bench: Workbench, measured: Measured, axes: Sequence[Axis], found: Pick, now: Preference,
    bounded: bool, asked: Criteria,
) -> None:  # fmt: skip
    """Why it is this point, in sentences."""
    bounded = bounded or bool(asked.constraints)
    with st.expander("Why this one", key="why"):
        if asked.utility is not None:
            said = why_useful(measured, found, asked.utility, bounded)
        else:
            ranges = frozen(measured, axes, len(bench.names.models))
            said = why(measured, found, now, bounded)
            said.append(scale_words(found.front, ranges is not None))
        for sentence in said:
            st.text(sentence)
