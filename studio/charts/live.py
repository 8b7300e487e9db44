"""The surfaces of the method in hand, for the browser to predict from while a slider moves. Pure.

surfaces ──► bytes ──► readout.js: slider ──► mean, band ──► words, mark     on every frame
                                   then Python's own answer, which may be a measured point
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.search.least_squares import student
from engine.search.surrogate import Surrogate, TooFew
from studio.points.view import Axis, Measured
from studio.points.words import PREDICTED, PREDICTED_NOTE
from studio.shared import once

DIGITS = 9
"""Significant ones of a number sent: a score is shown with three decimals."""


def _numbers(values: np.ndarray) -> list[float]:
    return [float(f"{each:.{DIGITS}g}") for each in values.tolist()]


def surface(found: Surrogate) -> dict[str, Any]:
    """What `Surrogate.predict` takes, as JSON: covariance is its upper triangle by rows, off the
    diagonal doubled; half is Student's quantile."""
    covariance = 2.0 * found.covariance - np.diag(np.diag(found.covariance))
    return {
        "link": found.link,
        "beta": _numbers(found.beta),
        "covariance": _numbers(covariance[np.triu_indices(len(covariance))]),
        "noise": found.noise,
        "scatter": found.scatter,
        "count": found.count,
        "half": student(found.freedom),
        "least": found.least if math.isfinite(found.least) else None,
        "inside": found.inside,
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
            "simplex": bool(some and some.simplex),
            "axes": [[axis.name, axis.label] for axis in axes],
            "title": PREDICTED,
            "note": PREDICTED_NOTE,
            "surfaces": {name: surface(each) for name, each in known.items()},
        }
        return json.dumps(data, allow_nan=False).encode(), known  # ids are of what is kept here

    found_bytes: bytes = once(measured, key, make)[0]
    return found_bytes
