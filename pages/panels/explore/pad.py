"""What follows the weights as they are dragged: the front in the browser, the pad, the pick's text.

front    its members as bytes, sent when they change; finds the pick while a slider or the pad moves
pad      a triangle of preferences over three objectives; on release its weights come back
picked   a few hundred bytes at each change: the pick in words, its mark, the weights heard of
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.front.preference import RHO, TIE
from studio.decide.front import Front
from studio.decide.picking import Pick
from studio.decide.preference import EVEN, LEAST_ROOM, STEPS, Preference
from studio.points.view import Measured
from ui.components import declare

OBJECTIVES = 3
"""Corners of a triangle."""

COLOURS = ("#0072b2", "#e69f00", "#009e73")
"""Colours of the corners, from Okabe and Ito's palette for colour-blind readers."""

MEMBERS = 2000
"""Members of a front that are sent; of more, the best of each neighbourhood."""


_front = declare("front", '<div class="front" hidden></div>')
_pad = declare(
    "pad",
    '<div class="pad"><div class="corner top"></div><div class="triangle">'
    '<canvas class="regions"></canvas><canvas class="region"></canvas>'
    '<div class="handle" role="slider" tabindex="0" aria-valuemin="0"'
    f' aria-valuemax="{STEPS}"'
    ' aria-roledescription="pad, moved with the arrow keys"></div></div>'
    '<div class="bottom"><div class="corner left"></div><div class="corner right"></div></div>'
    '<div class="words">A region is one measured point; its colour mixes those of the corners by'
    " its weights. Arrow keys move the handle, with Shift by ten.</div>"
    "</div>",
)
_picked = declare("picked", '<div class="picked" aria-live="polite"></div>')


def thinned(terms: np.ndarray, limit: int = MEMBERS) -> np.ndarray:
    """Rows of the terms [n, m] to send: all up to the limit; of more the one of least sum in each
    cell of the finest grid that leaves no more than that. In order."""
    rows, cells = np.arange(len(terms)), 128
    if len(terms) <= limit:
        return rows
    low = terms.min(axis=0)
    width = np.maximum(terms.max(axis=0) - low, 1e-12)
    best_first = np.argsort(terms.sum(axis=1), kind="stable")
    while len(rows) > limit:
        cells //= 2
        places = np.floor((terms[best_first] - low) / width * cells).astype(np.int64)
        keys = places @ (cells + 1) ** np.arange(terms.shape[1])
        rows = np.sort(best_first[np.unique(keys, return_index=True)[1]])
    return rows


def _place(measured: Measured, row: int) -> dict[str, float]:
    """Where a point stands on all its objectives: the chart's axes may be none of the front's."""
    return {
        name: value
        for name, value in zip(measured.names, measured.mean[row].tolist(), strict=True)
        if math.isfinite(value)
    }


def packed(measured: Measured, front: Front) -> bytes:
    """What a hand chooses among and by which rules (ui/components/picking.js), as JSON; numbers are
    in order of members, then of axes."""
    places = thinned(front.terms)
    axes, rows = front.axes, front.rows[places].tolist()
    found: dict[str, Any] = {
        "names": [axis.name for axis in axes],
        "labels": [axis.label for axis in axes],
        "ids": [measured.ids[row] for row in rows],
        "terms": front.terms[places].ravel().tolist(),
        "rules": {"rho": RHO, "tie": TIE, "steps": STEPS, "even": EVEN, "least": LEAST_ROOM},
        "places": [_place(measured, row) for row in rows],
        "texts": [measured.text(row) for row in rows],
        "scores": [measured.score_text(row, axis.name) for row in rows for axis in axes],
    }
    text = json.dumps(found, allow_nan=False)
    found["revision"] = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return json.dumps(found, allow_nan=False).encode()


def front(data: bytes, *, key: str) -> None:
    """Bring the members to the browser, as `packed` has them; nothing is to be seen."""
    _front(key=key, data=data)


def pad(names: Sequence[str], *, key: str, on_move: Callable[[], None]) -> None:
    """Mount the pad over these objectives of the front; in the callback
    `st.session_state[key]["moved"]` is {"weights": {objective: hundredths}, "turn": how often it
    was moved}."""
    _pad(key=key, data={"names": list(names), "colours": COLOURS}, on_moved_change=on_move)


def picked_data(
    measured: Measured, pick: Pick, preference: Preference, turn: int, shown: Mapping[str, int]
) -> dict[str, Any]:
    """The pick in words, its mark on the chart and what sliders and pad are to follow.

    Args:
        turn, shown: the pad's last move and the hundredths of the sliders that this answers to.
    """
    axes = pick.front.axes
    return {
        "title": measured.text(pick.row),
        "lines": [[axis.label, measured.score_text(pick.row, axis.name)] for axis in axes],
        "mark": {
            "label": "pick",
            "point": measured.ids[pick.row],
            "values": _place(measured, pick.row),
        },
        "aimed": {
            "weights": preference.hundredths,
            "exact": dict(preference.exact or preference.weights),
            "shown": dict(shown),
            "locked": sorted(preference.locked),
            "turn": turn,
        },
    }


def picked(data: Mapping[str, Any]) -> None:
    """Show the pick and mark it on the chart."""
    _picked(key="picked", data=dict(data))


def parts() -> tuple[DeltaGenerator, DeltaGenerator, DeltaGenerator]:
    """What stands above the pick, the pick, and what stands below it. It has one place whether the
    panel is open or not: drawn in another, the browser would have it twice."""
    with st.container(key="preference_panel", gap="xsmall"):
        return st.container(gap="xsmall"), st.container(), st.container(gap="xsmall")


def alone(found: Pick) -> Front:
    """The pick as all that there is to choose among: weights do not move it."""
    place = slice(found.place, found.place + 1)
    front = found.front
    return replace(front, rows=front.rows[place], values=front.values[place])
