"""A fitted surface as it is sent to where it is descended: values and slopes, no band."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.search.links import Link, unlinked
from engine.search.quadratic import Floats, features
from engine.search.surrogate import Surrogate

STEP = 1e-5
"""Of the central differences: a surface is smooth."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The mean of a `Surrogate`; its attributes."""

    link: Link
    simplex: int
    beta: Floats
    count: float
    least: float

    @classmethod
    def of_document(cls, data: Mapping[str, Any]) -> Surface:
        """As `document` makes it."""
        least = -np.inf if data["least"] is None else float(data["least"])
        beta = np.array(data["beta"], dtype=np.float64)
        return cls(data["link"], int(data["simplex"]), beta, float(data["count"]), least)

    def mean(self, places: Floats) -> Floats:
        """The surface at places [n, K], in the objective's own units."""
        centre = features(places, self.simplex) @ self.beta
        return unlinked(centre, self.link, self.count, self.least)

    def at(self, place: Floats) -> tuple[float, Floats]:
        """Its value and its slopes [K] at a place [K]."""
        moves = STEP * np.eye(len(place))
        found = self.mean(np.vstack([place[None], place + moves, place - moves]))
        ahead, behind = found[1 : 1 + len(place)], found[1 + len(place) :]
        return float(found[0]), (ahead - behind) / (2 * STEP)


def document(surrogate: Surrogate) -> dict[str, Any]:
    """What a job takes of a surface, for JSON."""
    return {
        "link": surrogate.link,
        "simplex": surrogate.simplex,
        "beta": surrogate.beta.tolist(),
        "count": surrogate.count,
        "least": surrogate.least if np.isfinite(surrogate.least) else None,
    }
