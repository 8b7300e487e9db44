"""How sure points are to be on the front, on a figure that is there: in hover texts, and in the
marks of the front, which are fainter the less sure it is. A plain function from data to plotly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from studio.points.numbers import share_text

FRONT = "front"
"""The name of the front's trace (`studio.charts.tradeoff`)."""

FAINT = ", faint: less sure"
SHADES = np.array([0.5, 0.75, 1.0])
"""Opacity of a member that is as likely not on the front, less than nearly sure, nearly sure. The
outline of the faintest still stands 3 : 1 against the background."""

LIMITS = (0.5, 0.9)


class Certainty(Protocol):
    """What is read of `studio.decide.noise.Known`."""

    def of(self, ids: Sequence[str]) -> np.ndarray:
        """Probability of points to be on the front, float64 [ids]; NaN where it is not known."""


def with_certainty(figure: dict[str, Any], sure: Certainty | None) -> dict[str, Any]:
    """The figure, whose marks and texts say how sure each point is to be on the front.

    Args:
        sure: None where nothing is known.
    """
    if sure is None:
        return figure
    return {**figure, "data": [_said(trace, sure) for trace in figure["data"]]}


def _said(trace: dict[str, Any], sure: Certainty) -> dict[str, Any]:
    rows = trace.get("customdata")
    if not rows:
        return trace
    known = sure.of([row[0] for row in rows])
    if not np.isfinite(known).any():
        return trace
    texts = [
        "" if math.isnan(each) else f"on the front with probability {share_text(each)}<br>"
        for each in known.tolist()
    ]
    said: dict[str, Any] = {
        "customdata": [(*row, text) for row, text in zip(rows, texts, strict=True)]
    }
    place, template = len(rows[0]), trace["hovertemplate"]
    said["hovertemplate"] = (
        _lined(template, place)
        if isinstance(template, str)
        else [_lined(each, place) for each in template]
    )
    shades = SHADES[np.digitize(np.nan_to_num(known, nan=1.0), LIMITS)]
    if trace.get("name") == FRONT and trace["type"] != "scatter3d" and shades.min() < 1:
        said["marker"] = {**trace["marker"], "opacity": shades.tolist()}
        said["name"] = FRONT + FAINT
    return {**trace, **said}


def _lined(template: str, place: int) -> str:
    """A hover text with its line before that of the point's id."""
    return template.replace(
        "point %{customdata[0]}", f"%{{customdata[{place}]}}point %{{customdata[0]}}"
    )
