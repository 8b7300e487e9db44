"""Why this one: the pick explained in sentences, in an expander under it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.front.bounds import Bounds
from engine.front.criteria import Criteria
from studio.decide.bounds import bound_on
from studio.decide.front import frozen, scale_words
from studio.decide.noise import noise
from studio.decide.picking import Pick
from studio.decide.preference import Preference
from studio.decide.why import how_sure, why, why_useful
from studio.points.view import Axis, Measured, axes_of
from studio.workbench import Workbench


def explain(
    bench: Workbench, measured: Measured, axes: Sequence[Axis], found: Pick, now: Preference,
    bounds: Bounds, asked: Criteria,
) -> None:  # fmt: skip
    """How sure the pick is, and why it is this point, in sentences."""
    bounded = bool(bound_on(axes_of(bench.objectives), bounds) or asked.constraints)
    known = noise(bench).known(measured, axes, bounds)
    with st.container(key="how_sure", gap=None):
        for sentence in how_sure(measured, found, now, bounds, known, asked):
            st.text(sentence)
    with st.expander("Why this one", key="why"):
        if asked.utility is not None:
            said = why_useful(measured, found, asked.utility, bounded)
        else:
            ranges = frozen(measured, axes, len(bench.names.models))
            said = why(measured, found, now, bounded, known)
            said.append(scale_words(found.front, ranges is not None))
        for sentence in said:
            st.text(sentence)
