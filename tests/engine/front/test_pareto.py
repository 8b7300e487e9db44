from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.errors import BadInput
from engine.front.pareto import as_maximize, front_mask, hypervolume, ranks, reference_point

GOLDEN = Path(__file__).parents[2] / "golden" / "pareto"
SETS = sorted(path.stem for path in GOLDEN.glob("set_*.npz"))
EDGES = json.loads((GOLDEN / "manifest.json").read_text())["edge_cases"]


@pytest.fixture(params=SETS)
def golden(request):
    return dict(np.load(GOLDEN / f"{request.param}.npz"))


def minimise(golden) -> np.ndarray:
    return np.zeros(golden["F"].shape[1], dtype=bool)


def test_golden_fronts_keep_duplicates(golden):
    assert (front_mask(golden["F"], minimise(golden)) == golden["nd_keep"]).all()


def test_golden_fronts_of_maximised_columns(golden):
    assert (front_mask(-golden["F"], ~minimise(golden)) == golden["nd_keep"]).all()


def test_golden_ranks(golden):
    assert (ranks(golden["F"], minimise(golden)) == golden["rank"] + 1).all()


def test_golden_hypervolumes(golden):
    for ref, volume in (("ref", "hv"), ("ref_tight", "hv_tight")):
        found = hypervolume(golden["F"], minimise(golden), golden[ref])
        assert found == pytest.approx(float(golden[volume]), rel=1e-9, abs=1e-12)
        flipped = hypervolume(-golden["F"], ~minimise(golden), -golden[ref])
        assert flipped == pytest.approx(found, rel=1e-12)


def test_golden_mixed_directions():
    golden = np.load(GOLDEN / "mixed_direction.npz")
    values, maximize, ok = golden["F"], golden["maximise"], golden["feasible"]
    assert (front_mask(values, maximize) == golden["nd_keep"]).all()
    assert hypervolume(values, maximize, golden["ref"]) == pytest.approx(float(golden["hv"]))
    assert (front_mask(values[ok], maximize) == golden["nd_keep_feasible"][ok]).all()
    assert hypervolume(values[ok], maximize, golden["ref"]) == pytest.approx(
        float(golden["hv_feasible"])
    )


@pytest.mark.parametrize("name", EDGES)
def test_edge_cases(name):
    case = EDGES[name]
    values = np.array(case["F"], dtype=float).reshape(-1, 2)
    assert front_mask(values, [False, False]).tolist() == case["nd_keep"]
    assert hypervolume(values, [False, False], case["ref"]) == pytest.approx(case["hv"])
    assert len(ranks(values, [False, False])) == len(values)


def test_by_hand():
    values = [[3.0, 1.0], [2.0, 2.0], [1.0, 1.0], [3.0, 1.0], [2.0, 1.0]]
    up = [True, True]
    assert front_mask(values, up).tolist() == [True, True, False, True, False]
    assert ranks(values, up).tolist() == [1, 1, 3, 1, 2]
    assert hypervolume(values, up, [0.0, 0.0]) == 5.0  # 3 × 1 and 2 × 2 share 2 × 1
    # of the front, not of all: worst 2 and 1, ranges 1 and 1
    assert reference_point(np.array(values)[[0, 1, 3]], up).tolist() == [1.9, 0.9]


def test_directions_can_differ():
    values = [[0.9, 10.0], [0.8, 5.0], [0.8, 20.0]]
    assert front_mask(values, [True, False]).tolist() == [True, True, False]
    assert reference_point(values[:2], [True, False]) == pytest.approx([0.79, 10.5])


def test_an_objective_without_a_range_stays():
    assert reference_point([[1.0, 2.0], [1.0, 4.0]], [True, False]) == pytest.approx([1.0, 4.2])
    assert reference_point([[1.0, 2.0]], [True, False]).tolist() == [1.0, 2.0]
    assert hypervolume([[1.0, 2.0]], [True, False], [1.0, 2.0]) == 0.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_values_are_an_error_and_not_dominated(value):
    for function in (front_mask, ranks):
        with pytest.raises(ValueError, match="finite"):
            function([[1.0, value], [0.5, 0.5]], [True, True])


def test_front_agrees_with_the_definition():
    random = np.random.default_rng(5)
    for objectives in (1, 2, 3, 4):
        values = random.integers(0, 4, size=(60, objectives)).astype(float)
        better_somewhere = (values[:, None] > values[None]).any(axis=2)
        nowhere_worse = (values[:, None] >= values[None]).all(axis=2)
        dominated = (better_somewhere & nowhere_worse).any(axis=0)
        assert (front_mask(values, [True] * objectives) == ~dominated).all()


def test_words_for_directions():
    assert as_maximize(["max", "minimize", "min"]).tolist() == [True, False, False]
    with pytest.raises(BadInput, match="maximize"):
        as_maximize(["maximise"])
