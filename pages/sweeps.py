"""Sweeps: many points at once, by a design."""

from __future__ import annotations

from pages.parts import state

backend = state.enter("Sweeps")
