"""The surfaces of the current method, from which the browser predicts while a slider moves. Pure.

surfaces ──► bytes ──► predicting.js: slider ──► mean, band ──► words, mark     on every frame
                                      then Python's own answer, which may be a measured point

What is sent is all that `Surrogate.predict` takes, to the last bit, and each of its constants.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.search.least_squares import student
from engine.search.links import HALF, LARGEST
from engine.search.quadratic import NOTHING
from engine.search.surrogate import SLACK, Surrogate, TooFew
from studio.points.view import Axis, Measured
from studio.points.words import (
    EXTRAPOLATED,
    OUTSIDE,
    PREDICTED,
    PREDICTED_DIGITS,
    PREDICTED_LABEL,
    PREDICTED_NOTE,
    caught_text,
)
from studio.shared import once

RULES = {
    "half": HALF,
    "largest": LARGEST,
    "nothing": NOTHING,
    "digits": PREDICTED_DIGITS,
    "slack": SLACK,
}


def _numbers(values: np.ndarray) -> str:
    """float64, little-endian, in base64: shorter than their digits, and exact."""
    return base64.b64encode(values.astype("<f8").tobytes()).decode()


def surface(found: Surrogate) -> dict[str, Any]:
    """What `Surrogate.predict` takes, as JSON: factor by columns; student is the quantile."""
    return {
        "link": found.link,
        "beta": _numbers(found.beta),
        "factor": _numbers(found.factor.T),
        "noise": found.noise,
        "scatter": found.scatter,
        "count": found.count,
        "student": student(found.freedom),
        "least": found.least if math.isfinite(found.least) else None,
        "inside": found.inside,
        "box": None if found.box is None else [_numbers(each) for each in found.box],
        "reach": found.reach if math.isfinite(found.reach) else None,
        "caught": caught_text(found.calibration),
    }


def packed(
    measured: Measured, axes: Sequence[Axis], found: Mapping[str, Surrogate | TooFew]
) -> bytes:
    """The surfaces over these axes as the readout takes them; kept beside the points.

    Args:
        found: objective -> its surface, or why there is none; of one method and its parameters.
    """
    known = {name: each for name, each in found.items() if isinstance(each, Surrogate)}
    key = "packed", tuple(axes), *((name, id(each)) for name, each in known.items())

    def make() -> tuple[bytes, object]:
        some = next(iter(known.values()), None)
        data = {
            "names": list(some.names) if some else [],
            "simplex": int(some.simplex) if some else 0,
            "axes": [[axis.name, axis.label] for axis in axes],
            "title": PREDICTED,
            "note": PREDICTED_NOTE,
            "outside": OUTSIDE,
            "labels": [PREDICTED_LABEL, EXTRAPOLATED],
            "rules": RULES,
            "surfaces": {name: surface(each) for name, each in known.items()},
        }
        return json.dumps(data, allow_nan=False).encode(), known  # ids are of what is kept here

    found_bytes: bytes = once(measured, key, make)[0]
    return found_bytes
