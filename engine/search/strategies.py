"""Strategies of a sweep: how its points are placed. A search measures, looks, and measures again.

designs    sobol, grid        every point is known before the first is measured (designs.py)
searches   suggest, cmaes     each batch follows from what is measured by then (suggest.py,
                              evolving.py)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Strategy:
    """A way to place the points of a sweep.

    Attributes:
        summary: what it does, one plain sentence without its full stop, short enough for a list.
        search: whether it goes on from what is measured.
        seeded: whether a seed gives other points.
    """

    summary: str
    search: bool = False
    seeded: bool = True


STRATEGIES: Mapping[str, Strategy] = {
    "sobol": Strategy("spread evenly over the sliders"),
    "grid": Strategy("every combination of equal steps", seeded=False),
    "suggest": Strategy("where the front should grow most for its time", search=True),
    "cmaes": Strategy("evolution towards the best weighted sum", search=True),
}

SURROGATES: Mapping[str, str] = {
    "quadratic": "a quadratic plus, smoothed, what it misses",
    "gp": "Gaussian processes of BoTorch, an extra",
}
"""What `suggest` predicts with."""


GET_GP = "Install it: .venv/bin/pip install -r requirements-bo.txt"
"""How to get the surrogate that does not come with the program."""


def is_search(strategy: str) -> bool:
    """Whether a strategy is one that goes on from what is measured."""
    return strategy in STRATEGIES and STRATEGIES[strategy].search
