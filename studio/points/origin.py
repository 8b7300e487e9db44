"""Where a point was measured: on this machine, or shipped with the demo."""

from __future__ import annotations

import numpy as np

from studio.points.view import Measured

WORDS = ("shipped", "measured here", "measured here in part")
"""What `origins` numbers."""

SHIPPED, HERE, PART = range(len(WORDS))
DEVICES = {"cpu": "a CPU", "cuda": "a GPU"}


def origins(measured: Measured, rows: np.ndarray) -> np.ndarray:
    """int64 [k]: SHIPPED where every score of a row came with the demo, HERE where none did."""
    scored = np.isfinite(measured.mean[rows])
    shipped = measured.shipped[rows] & scored
    some = shipped.any(axis=1)
    return np.where(some, np.where((shipped == scored).all(axis=1), SHIPPED, PART), HERE)


def origin_words(measured: Measured, row: int, numerics: str) -> str:
    """A sentence about one point.

    Args:
        numerics: device kind, compute dtype and version, as scores are keyed.
    """
    device, dtype, *_ = numerics.split("/")
    on = f"on {DEVICES.get(device, device)} in {dtype}"
    return {
        SHIPPED: f"Shipped with the demo, measured {on}.",
        HERE: f"Measured here, {on}.",
        PART: f"Measured here in part, {on}; the other scores were shipped with the demo.",
    }[int(origins(measured, np.array([row]))[0])]
