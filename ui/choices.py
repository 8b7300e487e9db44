"""Choices for the chart: kept in the session across pages, and in the address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from studio.points.remarks import hidden_of
from studio.points.view import Axis, Measured
from studio.shared import once
from studio.workbench import Workbench
from ui.recipe import anchored

NONE = "–"  # no objective can have this name


def view_key(name: str) -> str:
    """The key of a choice's widget: another after the address was taken up again, since a widget
    that is there keeps what it shows."""
    turn = st.session_state.get("view_turn", 0)
    return f"view:{name}:{turn}" if turn else f"view:{name}"


def remember(**values: str | None) -> None:
    """Keep the address a way back to this view.

    Told at once: the browser, told of one change after the other, would write the first of them
    onto the entry of its history that it is leaving.
    """
    now = st.query_params.to_dict()
    asked = {name: value for name, value in {**now, **values}.items() if value is not None}
    if asked != now:
        st.query_params.from_dict(asked)


def kept() -> dict[str, Any]:
    """What was chosen for the chart, of this browser session."""
    found: dict[str, Any] = st.session_state.setdefault("view", {})
    return found


def choose(
    place: DeltaGenerator,
    label: str,
    name: str,
    options: Sequence[str],
    default: str,
    shown: Callable[[str], str] = str,
    **extra: Any,
) -> str:
    """A selectbox whose choice is kept, and first taken from the address."""
    if kept().get(name) not in options:
        asked = st.session_state.get("addressed", {}).get(name)
        kept()[name] = asked if asked in options else default
    at = anchored(view_key(name), options.index(kept()[name]))
    at = at if at < len(options) else 0
    kept()[name] = place.selectbox(
        label, options, index=at, key=view_key(name), label_visibility="collapsed",
        format_func=lambda each: f"{label}: {shown(each)}", **extra,
    )  # fmt: skip
    remember(**{name: kept()[name] if kept()[name] != NONE else None})
    return str(kept()[name])


def exchange(name: str, among: Sequence[str], options: Sequence[str]) -> None:
    """In a callback: what was chosen for one of several choices leaves the others, which differ.

    One that showed it takes what this one showed before, so that two axes are swapped.

    Args:
        name: the choice that was changed.
        among: all of them, this one too.
        options: what any may show.
    """
    new = st.session_state[view_key(name)]
    before, kept()[name] = kept().get(name), new
    for other in among:
        if other == name or kept().get(other) != new or new == NONE:
            continue
        taken = {kept().get(each) for each in among if each != other}
        free = [each for each in (before, *options) if each in options and each not in taken]
        kept()[other] = free[0] if free else NONE
        # a widget that is there follows its state; its own first value would be a second one
        st.session_state[view_key(other)] = kept()[other]
        st.session_state.setdefault("anchors", {})[view_key(other)] = 0


def chosen_axes(axes: Sequence[Axis]) -> list[Axis]:
    """The two or three objectives on the axes, without drawing anything; the one there is of a
    study with one."""
    by_name = {axis.name: axis for axis in axes}
    names = list(by_name)

    def chosen(name: str) -> str | None:
        asked = st.session_state.get("addressed", {}).get(name)
        found = st.session_state.get(view_key(name)) or kept().get(name) or asked
        return found if found in by_name else None

    x = chosen("x") or names[0]
    rest = [each for each in names if each != x]
    y = chosen("y") or next(iter(rest), x)
    y = next(iter(rest), x) if y == x else y
    return [by_name[name] for name in dict.fromkeys((x, y, chosen("z"))) if name is not None]


def visible(bench: Workbench) -> Measured:
    """The study's points without those that a user has hidden, unless these are to be seen."""
    measured = bench.measured()
    hidden = hidden_of(bench.remarks.all(), measured.row_of)
    if not hidden or kept().get("show_hidden"):
        return measured

    def make() -> Measured:
        return measured.only(np.array([point not in hidden for point in measured.ids]))

    found: Measured = once(measured, ("visible", hidden), make)
    return found
