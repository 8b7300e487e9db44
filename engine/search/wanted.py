"""What a run of FERERO is asked for, from what a user says to scaled and minimised objectives, and
back to words and exchange rates in the objectives' own units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.front.cone import Trade, rows_of
from engine.front.criteria import Constraint, Criteria, criteria
from engine.front.pareto import Floats
from engine.search.ferero import Preference, Region, Solution

FELT = 1e-3
"""Share of all prices from which an objective has one."""


class Wanted:
    """What is asked for, over n objectives in a fixed order, scaled and minimised.

    Args:
        payload: compare, ranges, weights, constraints, cone, utility, as the job "improve" has
            them (`engine.jobs.improving`).

    Attributes:
        names: of the objectives; compare: those of the front.
        criteria: constraints (bounds among them), trades and utility.
        weights: by objective, for the Chebyshev scalarisation; None without.
    """

    def __init__(
        self, names: Sequence[str], maximize: Sequence[bool], payload: Mapping[str, Any]
    ) -> None:
        self.names = list(names)
        self.compare = [str(each) for each in payload["compare"]]
        self.criteria: Criteria = criteria(
            self.names, payload.get("constraints") or (), payload.get("cone") or (),
            payload.get("utility"),
        )  # fmt: skip
        given = payload.get("weights")
        self.weights = None if given is None else {str(k): float(v) for k, v in given.items()}
        ends = [payload["ranges"][name] for name in self.names]
        self.ideal = np.array([float(best) for best, _ in ends])
        sign = np.where(np.asarray(maximize, dtype=bool), -1.0, 1.0)
        width = sign * np.array([float(worst) - float(best) for best, worst in ends])
        self.unit = sign * np.where(width > 0.0, width, 1.0)  # own units of one scaled one

    def scaled(self, values: Floats, slopes: Floats) -> tuple[Floats, Floats]:
        return (values - self.ideal) / self.unit, slopes / self.unit[:, None]

    def own(self, scaled: Floats) -> Floats:
        return self.ideal + self.unit * scaled

    def preference(self) -> Preference:
        """The cone and the limits of scaled objectives."""
        n, places = len(self.names), [self.names.index(each) for each in self.compare]
        worst = self.weights is not None and not self.criteria.trades
        if worst and self.criteria.utility is None:
            assert self.weights is not None
            weights = np.array([self.weights.get(name, 0.0) for name in self.names])
            cone = np.diag(weights / weights.sum())[weights > 0.0]
        else:
            worst = False
            by = dict(zip(self.names, np.abs(self.unit).tolist(), strict=True))
            trades = [
                Trade(each.lost, each.gained, each.rate * by[each.lost] / by[each.gained])
                for each in self.criteria.trades
            ]
            rows = rows_of(self.compare, trades)
            cone = np.zeros((len(rows), n))
            cone[:, places] = rows
        limits = [self._limit(each) for each in self.criteria.constraints]
        over = np.array([row for row, _ in limits]).reshape(-1, n)
        most = np.array([value for _, value in limits])
        return Preference.of(n, cone, (over, most), worst=worst and self.criteria.utility is None)

    def _limit(self, each: Constraint) -> tuple[Floats, float]:
        """A row and a number of B_g F ≤ b_g."""
        row = np.zeros(len(self.names))
        for name, coefficient in each.coefficients:
            row[self.names.index(name)] = coefficient
        sign = -1.0 if each.side.words == "at least" else 1.0
        level = sign * (each.side.value - float(row @ self.ideal))
        size = float(
            np.abs(row * self.unit).sum()
        )  # so that a violation counts as it does in picks
        return sign * row * self.unit / size, level / size

    def utility(self, scaled: Floats) -> tuple[float, Floats]:
        """The utility and its derivatives by the scaled objectives."""
        assert self.criteria.utility is not None
        value, slope = self.criteria.utility.slopes(self.names, [self.own(scaled)])
        return float(value[0]), slope[0] * self.unit


def told_of(
    found: Solution, wanted: Wanted, coefficients: Sequence[str], region: Region
) -> dict[str, Any]:
    """What is said of where a descent ended, for JSON: why, evaluations, values, violation, unmet,
    binding, rates."""
    values = wanted.own(found.values)
    limits = wanted.criteria.constraints
    binding = [
        str(each)
        for each, price in zip(limits, found.step.binding.tolist(), strict=False)
        if price > 1e-6
    ]
    ends = zip(coefficients, found.place.tolist(), region.low.tolist(), region.high.tolist(),
               strict=True)  # fmt: skip
    for name, at, low, high in ends:
        if min(at - low, high - at) < 1e-6:
            binding.append(f"{name} is at its {'lowest' if at - low < 1e-6 else 'highest'}")
    unmet = [
        {"name": each.name, "bound": each.bound, "closest": each.closest}
        for each in wanted.criteria.unmet(wanted.names, values)
        if found.violation > 1e-6
    ]
    return {
        "why": found.why,
        "evaluations": len(found.visited),
        "values": dict(zip(wanted.names, values.tolist(), strict=True)),
        "violation": found.violation,
        "unmet": unmet,
        "binding": binding,
        "rates": rates_of(found, wanted),
    }


def rates_of(found: Solution, wanted: Wanted) -> list[dict[str, Any]]:
    """Exchange rates in own units, against the first objective compared that has a price."""
    whole = float(np.abs(found.step.prices).sum())
    priced = {
        name: float(price / abs(unit))
        for name, price, unit in zip(wanted.names, found.step.prices, wanted.unit, strict=True)
        if name in wanted.compare and price > FELT * whole
    }
    if len(priced) < 2:
        return []
    first, *rest = (each for each in wanted.compare if each in priced)
    return [{"of": each, "in": first, "rate": priced[each] / priced[first]} for each in rest]
