"""Bounds on objectives: a range slider each, whose ends set no bound.

Code never sets a slider's value: to show something else, it creates another slider with a new key.
The bounds are in `st.session_state["bounds"]`, set before a page is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st

from engine.front.bounds import FREE, Bounds, Pair
from studio.decide.bounds import decimals, ends, from_text, words
from studio.points.view import Axis, Measured


def bounds() -> dict[str, Pair]:
    """What is bound now, of this browser session."""
    found: dict[str, Pair] = st.session_state.setdefault("bounds", {})
    return found


def bind(asked: Bounds) -> None:
    """Replace all bounds; the sliders are recreated."""
    st.session_state["bounds"] = {name: pair for name, pair in asked.items() if pair != FREE}
    st.session_state["bounds_made"] = st.session_state.get("bounds_made", 0) + 1


def _heard(key: str, name: str, low: float, high: float, on_change: Callable[[], Any]) -> None:
    if key not in st.session_state:
        return  # an answer of a slider that is no more
    chosen = st.session_state[key]
    pair = (
        chosen[0] if chosen[0] > low else None,
        chosen[1] if chosen[1] < high else None,
    )
    bounds().pop(name, None)
    if pair != FREE:
        bounds()[name] = pair
    on_change()


def restore(axes: Sequence[Axis]) -> None:
    """Once a session, before anything is drawn that they count for: the bounds that the address
    names."""
    if "bounded" not in st.session_state:
        st.session_state["bounded"] = True
        asked = st.session_state["addressed"].get("bounds", "")
        bind(from_text(asked, [axis.name for axis in axes]))


def bounds_panel(
    measured: Measured, axes: Sequence[Axis], on_change: Callable[[], Any] = lambda: None
) -> dict[str, Pair]:
    """Draw a range slider for each objective that has points; what is bound.

    Args:
        on_change: called once the new bounds are in the state, before anything is drawn again.
    """
    made = st.session_state.get("bounds_made", 0)
    with st.container(key="bounds_panel", gap=None):
        for axis in axes:
            values = measured.mean[:, measured.column(axis.name)]
            values = values[np.isfinite(values)]
            if not len(values):
                continue
            pair = bounds().get(axis.name, FREE)
            low, high, step = ends(values, axis.unit, pair)
            key = f"bound:{axis.name}:{made}:{low:g}:{high:g}:{step:g}"
            anchors = st.session_state.setdefault("bound_anchors", {})
            if key not in st.session_state or key not in anchors:
                first, last = (each if each is not None else end
                               for each, end in zip(pair, (low, high), strict=True))  # fmt: skip
                anchors[key] = min(max(first, low), high), max(min(last, high), low)
            st.slider(
                axis.label, low, high, anchors[key], step=step, key=key,
                format=f"%.{decimals(step)}f", on_change=_heard,
                args=(key, axis.name, low, high, on_change),
            )  # fmt: skip
        st.text(words(measured, axes, bounds()))
        if bounds():
            st.button("Clear bounds", key="no_bounds", on_click=_clear, args=(on_change,))
    return bounds()


def _clear(on_change: Callable[[], Any]) -> None:
    bind({})
    on_change()
