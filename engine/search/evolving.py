"""CMA-ES on a weighted sum of objectives: populations asked and told (arXiv 1604.00772), by cmaes.

    middle of the ranges, sigma 1/6 ── ask a population ──► measured ── tell ──► the next

As mergekit-evolve runs it: one number a point, Σ w (score − nadir) / (ideal − nadir) over frozen
ranges. The evolution is asked and told again from its seed each time, which costs microseconds, so
that a stopped one goes on where it was and nothing of it has to be kept.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from cmaes import CMA

from engine.errors import bad
from engine.search.quadratic import Floats, by_model, shares

SIGMA = 1 / 6
DECIMALS = 4
SMALL = 0.02
"""A sum of shares below this has no proportions; its models are moved up together."""


def population(coefficients: int) -> int:
    """Points of a generation: 4 + ⌊3 ln k⌋."""
    return 4 + int(3 * np.log(coefficients))


def next_population(
    ranges: Floats, simplex: int, known: Mapping[tuple[float, ...], float | None], seed: int
) -> Floats:
    """The first generation that has not been asked for as a whole.

    Args:
        ranges: float64 [K ≥ 2, 2].
        simplex: sums of which only the shares matter; what comes back then sums to one.
        known: position asked for so far -> its weighted sum, more being better; None where it has
            no score, which counts as the worst of its generation.

    Returns:
        float64 [≤ population, K], 4 decimals: those of it that are not known; none once the
        evolution has converged.

    Raises:
        BadInput: fewer than two coefficients.
    """
    k = len(ranges)
    if k < 2:
        raise bad("--strategy", "cmaes needs two coefficients or more", "Use suggest or grid.")
    found = CMA(
        np.full(k, 0.5), SIGMA, bounds=np.array([[0.0, 1.0]] * k), seed=seed,
        population_size=population(k),
    )  # fmt: skip
    while not found.should_stop():
        units = np.array([found.ask() for _ in range(found.population_size)])
        places = _places(units, ranges, simplex)
        keys = [tuple(each) for each in places.tolist()]
        new = [row for row, key in enumerate(keys) if key not in known]
        if new:
            return places[new]
        told = [known[key] for key in keys]
        worst = min((each for each in told if each is not None), default=0.0)
        sums = [worst if each is None else each for each in told]
        found.tell([(unit, -value) for unit, value in zip(units, sums, strict=True)])
    return np.empty((0, k))


def _places(units: Floats, ranges: Floats, simplex: int) -> Floats:
    """Coefficients at positions in the unit box."""
    low, high = ranges.T
    places = low + (high - low) * units
    if simplex:
        each = by_model(places, simplex)
        total = each.sum(axis=1, keepdims=True)
        lifted = each + np.where(np.abs(total) < SMALL, SMALL, 0.0)
        places = shares(lifted.reshape(places.shape), simplex)
    return np.asarray(np.round(places, DECIMALS) + 0.0)


def weighted(mean: Floats, ideal: Floats, nadir: Floats, weights: Floats) -> list[float | None]:
    """Σ w (score − nadir) / (ideal − nadir) of each point [n, m]; None where a score is missing.

    An objective without a range adds nothing."""
    span = ideal - nadir
    terms = np.where(span == 0.0, 0.0, (mean - nadir) / np.where(span == 0.0, 1.0, span))
    sums = terms @ weights
    return [float(each) if np.isfinite(each) else None for each in sums]
