"""Places labels next to their marks without overlap: greedy, in pixels of a chart of the usual
size.

A name goes to the first place of a ring around its mark where it meets no name and no mark named;
where a ring is full, the next one further out, with a thin line back to the mark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from studio.charts.marks import BACKGROUND, CLEAR, EDGE, TEXT, shortened

WIDTH, HEIGHT = 780.0, 320.0
"""Pixels of the plane in a window of 1280 × 720, inside its axes; larger ones have more room."""

LETTER, LINE, MARK = 6.6, 16.0, 9.0
"""Pixels of a letter and of a line of 12 px text, and around a mark."""

MOST = 24
"""Letters of a name that are shown; the whole is said on hover."""

RINGS = (0.0, 22.0, 44.0, 66.0, 96.0, 130.0)
"""How far beyond its mark's edge a name may stand."""

SLACK = 26.0
"""Pixels that a name may reach beyond the plane."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

WAYS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Below first, then above, right, left, the corners; up is negative, as plotly's pixels are."""


def _pixels(values: np.ndarray, low: float, high: float, length: float) -> np.ndarray:
    span = high - low or 1.0
    return np.asarray((0.05 + 0.9 * (values - low) / span) * length)


def place(
    x: Sequence[float], y: Sequence[float], names: Sequence[str],
    limits: tuple[tuple[float, float], tuple[float, float]],
    others: np.ndarray | None = None,
) -> list[tuple[float, float]]:  # fmt: skip
    """Where each name's centre stands, in pixels from its mark; y downwards.

    Args:
        x, y: of the marks, in the units of their axes.
        limits: lowest and highest value of all that is drawn, across and up.
        others: float64 [k, 2], further marks, which a name covers only where it must.
    """
    across = _pixels(np.asarray(x, dtype=float), *limits[0], WIDTH)
    down = HEIGHT - _pixels(np.asarray(y, dtype=float), *limits[1], HEIGHT)
    dots = np.empty((0, 2)) if others is None else others
    dots_x = _pixels(dots[:, 0], *limits[0], WIDTH)
    dots_y = HEIGHT - _pixels(dots[:, 1], *limits[1], HEIGHT)
    taken = [(a - MARK, d - MARK, a + MARK, d + MARK) for a, d in zip(across, down, strict=True)]
    found = []
    for a, d, name in zip(across, down, names, strict=True):
        half = LETTER * len(name) / 2
        best: tuple[float, float, float, Box] | None = None
        for ring in RINGS:
            for way, (right, below) in enumerate(WAYS):
                shift = right * (MARK + ring + half + 2 if not below or ring else half)
                drop = below * (MARK + ring + LINE / 2)
                left, top = a + shift - half, d + drop - LINE / 2
                box = left, top, left + 2 * half, top + LINE
                outside = max(0.0, -left - SLACK) + max(0.0, box[2] - WIDTH - SLACK)
                outside += max(0.0, -top - 8) + max(0.0, box[3] - HEIGHT - 8)
                met = sum(_overlap(box, other) for other in taken)
                inside = (dots_x > left) & (dots_x < box[2]) & (dots_y > top) & (dots_y < box[3])
                cost = met + 20 * outside + 3 * int(inside.sum()) + 0.2 * ring + 0.1 * way
                if best is None or cost < best[0]:
                    best = cost, shift, drop, box
        assert best is not None  # there are rings
        taken.append(best[3])
        found.append((best[1], best[2]))
    return found


def _overlap(one: Box, other: Box) -> float:
    """Shared area of two boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high)


def named(figure: dict[str, Any]) -> dict[str, Any]:
    """A flat figure with the names of its models placed so that none lies over another.

    They come as the text of a trace, or as annotations over a dense cloud, and leave as annotations
    with their places. On a logarithmic axis an annotation's place is a logarithm.
    """
    layout = dict(figure["layout"])
    log = {each for each in "xy" if layout.get(f"{each}axis", {}).get("type") == "log"}
    known, ground = list(layout.get("annotations", ())), bool(layout.get("annotations"))
    data = []
    for trace in figure["data"]:
        if trace.get("text") and "text" in trace.get("mode", "") and trace["type"] != "scatter3d":
            marks = zip(_on(trace, "x", log), _on(trace, "y", log), trace["text"], strict=True)
            known += [{"x": x, "y": y, "text": text} for x, y, text in marks if text]
            dropped = ("text", "textposition", "textfont")
            trace = {name: each for name, each in trace.items() if name not in dropped}
            trace["mode"] = "markers"
        data.append(trace)
    if not known:
        return figure
    limits = _limits(data, "x", log), _limits(data, "y", log)
    full = [html.unescape(each["text"]) for each in known]
    names = [shortened(each, MOST) for each in full]
    x, y = ([each[letter] for each in known] for letter in "xy")
    dots = [
        place
        for trace in data
        if trace.get("customdata")
        for place in zip(_on(trace, "x", log), _on(trace, "y", log), strict=True)
    ]
    spots = place(x, y, names, limits, np.array(dots, dtype=float).reshape(-1, 2))
    layout["annotations"] = [
        _annotation(*each, ground) for each in zip(x, y, names, full, spots, strict=True)
    ]
    return {**figure, "data": data, "layout": layout}


def _on(trace: dict[str, Any], letter: str, log: Collection[str]) -> list[float]:
    """Where the marks of a trace stand on an axis: at logarithms of values where it is of them."""
    values = [each for each in trace.get(letter, ()) if each is not None]
    return [math.log10(each) for each in values] if letter in log else values


def _limits(
    data: Sequence[dict[str, Any]], letter: str, log: Collection[str]
) -> tuple[float, float]:
    values = [each for trace in data for each in _on(trace, letter, log)]
    return min(values), max(values)


def _annotation(
    x: float, y: float, name: str, full: str, spot: tuple[float, float], ground: bool
) -> dict[str, Any]:
    """A name with a line to its mark where it stands further off."""
    shift, drop = spot
    far = abs(drop) > MARK + LINE or abs(shift) > MARK + LETTER * len(name) / 2 + 4
    found: dict[str, Any] = {
        "x": x, "y": y, "text": html.escape(name), "font": {"color": TEXT, "size": 12},
        "showarrow": True, "ax": round(shift, 1), "ay": round(drop, 1), "borderpad": 1,
        "arrowhead": 0, "arrowwidth": 1, "standoff": MARK, "arrowcolor": EDGE if far else CLEAR,
    }  # fmt: skip
    if name != full:
        found["hovertext"] = html.escape(full)
    return found | ({"bgcolor": BACKGROUND, "opacity": 0.9} if ground else {})
