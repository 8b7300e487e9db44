"""Whoever asks for more of an objective gets more of it, on the demo's measured points."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from cache.segments import read_segment
from engine.demo.write import FAMILY, POINTS
from engine.front.pareto import as_maximize
from engine.front.preference import ranges_of, recommend
from engine.scoring.objectives import prepare
from engine.study import load_study

OBJECTIVES = prepare(load_study(FAMILY / "study.yaml"))
NAMES = tuple(each.name for each in OBJECTIVES)
MAXIMIZE = as_maximize([str(each.direction) for each in OBJECTIVES])
OWN = ("facts", "honesty", "refusals")
"""Those that an expert each was trained for."""

STEPS = 21


@pytest.fixture(scope="module")
def shipped() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means and standard errors, float64 [points, objectives], and which points are one model."""
    rows = read_segment(POINTS, {}).to_pylist()
    places = {point: n for n, point in enumerate(dict.fromkeys(row["point"] for row in rows))}
    mean, error = np.full((2, len(places), len(NAMES)), np.nan)
    alone = np.zeros(len(places), dtype=bool)
    for row in rows:
        at = places[row["point"]], NAMES.index(row["objective"])
        mean[at], error[at] = row["mean"], row["stderr"] or 0.0
        alone[at[0]] = json.loads(row["recipe"])["method"] == "single"
    assert np.isfinite(mean).all() and alone.any()
    return mean, error, alone


def picks(
    mean: np.ndarray, alone: np.ndarray, names: Sequence[str], name: str, steps: int = STEPS
) -> list[int]:
    """What is recommended while a weight goes from 0 to 1 and the others share the rest."""
    columns = [NAMES.index(each) for each in names]
    values, maximize = mean[:, columns], MAXIMIZE[columns]
    ranges = ranges_of(names, values[alone], maximize)
    found = []
    for weight in np.linspace(0, 1, steps):
        rest = (1 - weight) / (len(names) - 1)
        weights = {each: weight if each == name else rest for each in names}
        found.append(recommend(names, values, maximize, weights, None, ranges).index)
    return found


@pytest.mark.parametrize("names", [OWN, NAMES], ids=["experts'", "all"])
def test_more_weight_is_never_less_of_it(
    shipped: tuple[np.ndarray, np.ndarray, np.ndarray], names: Sequence[str]
) -> None:
    mean, error, alone = shipped
    for name in names:
        column = NAMES.index(name)
        rows = picks(mean, alone, names, name)
        values = mean[:, column] * (1 if MAXIMIZE[column] else -1)
        got = values[rows]
        best = np.maximum.accumulate(got)
        assert (best - got <= error[rows, column]).all()
        assert got[-1] == values.max()


@pytest.mark.parametrize("name", OWN)
def test_a_weight_leads_through_several_picks(
    shipped: tuple[np.ndarray, np.ndarray, np.ndarray], name: str
) -> None:
    mean, _, alone = shipped
    assert len(set(picks(mean, alone, OWN, name))) >= 4
