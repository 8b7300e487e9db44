"""The pad, a triangle of preferences over three objectives, and the lines that say the pick.

pad      the front's members as bytes, sent when they change; on release the weights come back
picked   a few hundred bytes at each change: the pick in words, its mark, where the handle stands
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from pages.parts.picking import Front, Pick
from pages.parts.preference import Bounds, Preference
from pages.parts.view import Measured, recipe_text

OBJECTIVES = 3
"""Corners of a triangle."""

MEMBERS = 2000
"""Members of a front that are sent; of more, the best of each neighbourhood."""


def _text(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


_pad = st.components.v2.component(
    "paretoscope.pad",
    html='<div class="pad"><div class="corner top"></div><div class="triangle">'
    '<canvas class="regions"></canvas><canvas class="region"></canvas>'
    '<div class="handle" role="slider" tabindex="0" aria-valuemin="0" aria-valuemax="100"'
    ' aria-roledescription="pad, moved with the arrow keys"></div></div>'
    '<div class="bottom"><div class="corner left"></div><div class="corner right"></div></div>'
    "</div>",
    css=_text("pad.css"),
    js=_text("pad.js"),
    isolate_styles=False,
)
_picked = st.components.v2.component(
    "paretoscope.picked",
    html='<div class="picked" aria-live="polite"></div>',
    css=_text("picked.css"),
    js=_text("picked.js"),
    isolate_styles=False,
)


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


def packed(measured: Measured, front: Front, bounds: Bounds) -> bytes:
    """What the pad chooses among: the members of the front that the bounds leave, as JSON.

    The first three axes of the front are those of the pad; one that only a bound lies on has no
    weight and is not sent. Numbers are in order of members, then of axes.
    """
    places = front.eligible(bounds)
    places = places[thinned(front.terms[places, :OBJECTIVES])]
    axes, rows = front.axes[:OBJECTIVES], front.rows[places].tolist()
    found: dict[str, Any] = {
        "names": [axis.name for axis in axes],
        "labels": [axis.label for axis in axes],
        "ids": [measured.ids[row] for row in rows],
        "terms": front.terms[places, :OBJECTIVES].ravel().tolist(),
        "values": front.values[places, :OBJECTIVES].ravel().tolist(),
        "texts": [recipe_text(measured.recipes[row]) for row in rows],
        "scores": [measured.score_text(row, axis.name) for row in rows for axis in axes],
    }
    text = json.dumps(found, allow_nan=False)
    found["revision"] = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return json.dumps(found, allow_nan=False).encode()


def pad(data: bytes, *, key: str, on_move: Callable[[], None]) -> None:
    """Mount the pad; in the callback `st.session_state[key]["moved"]` is {"weights": {objective:
    hundredths}, "turn": how often it was moved}."""
    _pad(key=key, data=data, on_moved_change=on_move)


def picked_data(
    measured: Measured, pick: Pick, preference: Preference, turn: int
) -> dict[str, Any]:
    """The pick in words, its mark on the chart and what the pad is to follow."""
    axes = [axis for axis in pick.front.axes if axis.name in preference.weights]
    return {
        "title": recipe_text(measured.recipes[pick.row]),
        "lines": [[axis.label, measured.score_text(pick.row, axis.name)] for axis in axes],
        "mark": {
            "label": "pick",
            "point": measured.ids[pick.row],
            "values": {
                axis.name: float(measured.mean[pick.row, measured.column(axis.name)])
                for axis in axes
            },
        },
        "aimed": {
            "weights": preference.hundredths,
            "locked": sorted(preference.locked),
            "turn": turn,
        },
    }


def picked(data: Mapping[str, Any]) -> None:
    """Show the pick and mark it on the chart."""
    _picked(key="picked", data=dict(data))
