"""The view Parallel of Explore: which axes, in which order; ranges of theirs become bounds.

multiselect, a dragged axis, the address ──► one order, in the session and the address
ranges ──► bounds of chart, table and preference
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from engine.front.bounds import Pair
from pages.panels.explore import bounding
from studio.charts.parallel import arranged, chosen_anew
from studio.decide.bounds import narrowed
from studio.points.view import Axis
from ui import components
from ui.choices import kept, remember, view_key
from ui.recipe import anchored

KEY = "parallel"


def order() -> list[str]:
    """The upright axes from left to right, as `choose` left them."""
    return list(kept()["axes"])


def choose(axes: Sequence[Axis], coefficients: Sequence[str]) -> None:
    """Which objectives have an axis, and whether coefficients have one. All objectives where none
    is chosen.

    Args:
        coefficients: of the current recipe.
    """
    asked = st.session_state["addressed"]
    now = kept().setdefault("coefficients", asked.get("coefficients") == "1")
    by_name = {axis.name: axis for axis in axes}
    if "axes" not in kept():
        kept()["axes"] = asked.get("axes", "").split(",")
    others = coefficients if now else ()
    before = arranged(kept()["axes"], by_name, others)
    key = _key()
    chosen = st.multiselect(
        "Axes", list(by_name), anchored(key, [name for name in before if name in by_name]),
        key=key, format_func=lambda name: by_name[name].label,
        help="The objectives that have an axis. Drag an axis by its name on the chart to move it",
    )  # fmt: skip
    key = view_key("coefficients")
    kept()["coefficients"] = st.toggle(
        "Include coefficients", anchored(key, now), key=key,
        help="Add an axis for each coefficient of the current method, and show only points that "
        "have them",
    )  # fmt: skip
    others = coefficients if kept()["coefficients"] else ()
    kept()["axes"] = arranged(chosen_anew(before, chosen), by_name, others)
    usual = kept()["axes"] == arranged((), by_name, others)
    remember(
        axes=None if usual else ",".join(kept()["axes"]),
        coefficients="1" if kept()["coefficients"] else None,
    )


def mount(
    drawing: components.Drawing, clicked: Callable[[], Any], bound: Callable[[], Any]
) -> None:
    """Show it in the order chosen.

    Args:
        bound: called once ranges have become bounds.
    """
    components.parallel(
        drawing, kept()["axes"], key=KEY, on_click=clicked, on_order=_ordered,
        on_bound=lambda: _bound(bound),
    )  # fmt: skip


def _ordered() -> None:
    """An axis was dragged."""
    order = [str(name) for name in st.session_state[KEY].get("ordered") or ()]
    if sorted(order) != sorted(kept()["axes"]):
        return  # other axes were chosen meanwhile
    kept()["axes"] = order
    kept()["carried"] = kept().get("carried", 0) + 1


def _key() -> str:
    """Of the multiselect: another one after an axis was dragged. One that is not on the screen,
    within a closed popover, does not follow a value that code puts in."""
    turn = kept().get("carried", 0)
    return view_key("axes") + (f":{turn}" if turn else "")


def _bound(on_change: Callable[[], Any]) -> None:
    """Ranges of axes become bounds."""
    asked = st.session_state[KEY].get("bound") or {}
    pairs = {name: _pair(each) for name, each in asked.items() if name in kept()["axes"]}
    bounding.bind(narrowed(bounding.bounds(), pairs))
    on_change()


def _pair(ends: Sequence[Any]) -> Pair:
    """A range as the browser has it, which knows no infinite numbers."""
    low, high = (float(each) if each is not None else None for each in ends)
    assert all(each is None or math.isfinite(each) for each in (low, high))
    return low, high
