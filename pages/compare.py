"""Compare: answers of up to four points side by side."""

from __future__ import annotations

from pages.parts import state

backend = state.enter("Compare")
