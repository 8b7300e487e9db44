"""Sweeps: many points at once, placed by a design; estimated first, resumable after
interruption."""

from __future__ import annotations

import streamlit as st

from pages.panels.sweeps import curve, estimate, now, past
from studio.sweeps import queue as sweeping
from ui import components
from ui import frame as state

bench = state.enter("Sweeps")
components.library()
sweeping.advance(bench)
narrow, wide = st.columns([1, 1.9], gap="medium")
with narrow, st.container(gap="xsmall"):
    estimate.panel(bench)
with wide:
    now.panel(bench)
    curve.panel(bench)
    past.failed_panel(bench)
    past.past_panel(bench)
