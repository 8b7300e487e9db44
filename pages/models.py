"""Models: the study that is open, and how to open another."""

from __future__ import annotations

from pages.parts import state

backend = state.enter("Models")
