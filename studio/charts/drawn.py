"""Which points a chart shows, read from its figure: for a file of what is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from studio.points.view import Measured


def drawn(figure: Mapping[str, Any], measured: Measured) -> np.ndarray:
    """int [k]: rows of the points that are marks or lines of a figure, each once, as drawn."""
    marks = (each for trace in figure.get("data", ()) for each in trace.get("customdata") or ())
    ids = dict.fromkeys([*(each[0] for each in marks if each), *figure.get("ids", ())])
    return np.array([measured.row_of[each] for each in ids if each in measured.row_of], dtype=int)
