"""Designs: as many levels as fit, the same every time, and only recipes that can be run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import engine
from engine.errors import BadInput
from engine.method import METHODS
from engine.recipe import FrozenDict, resolve
from engine.search.designs import design, levels
from engine.study import FamilySpec, Study

assert engine.merging and engine.decoding

SWEPT = [name for name, each in METHODS.items() if each.takes_coefficients]


def study(*experts: str, ranges: dict[str, dict[str, tuple[float, float]]] | None = None) -> Study:
    spec = FamilySpec(Path("base"), {name: Path(name) for name in experts})
    given = {name: FrozenDict(each) for name, each in (ranges or {}).items()}
    return Study("s", Path("s.yaml"), spec, (), FrozenDict(given))


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5, 7])
def test_levels_are_exact_roots(dimensions: int) -> None:
    for root in (1, 2, 3, 10, 99, 1000):
        exact = root**dimensions
        assert levels(exact, dimensions) == root
        assert levels(exact + 1, dimensions) == (root + 1 if dimensions == 1 else root)
        if exact > 1:
            assert levels(exact - 1, dimensions) == max(1, root - 1)


def test_a_root_beyond_floats() -> None:
    huge = 3 * 10**8
    assert levels(huge**3, 3) == huge and levels(huge**3 - 1, 3) == huge - 1


def test_a_grid_spans_its_ranges() -> None:
    found = design(study("a", "b"), "task_arithmetic", 11, "grid")
    assert len(found) == 9
    values = {tuple(each.coefficients.values()) for each in found}
    assert values == {(a, b) for a in (0.0, 0.75, 1.5) for b in (0.0, 0.75, 1.5)}


def test_a_grid_of_one_level_is_the_middle() -> None:
    (only,) = design(study("a", "b"), "pcb", 3, "grid")
    assert dict(only.coefficients) == {"a": 0.75, "b": 0.75}


def test_a_study_gives_the_ranges() -> None:
    given = study("a", "b", ranges={"pcb": {"a": (-1.0, 1.0)}})
    found = design(given, "pcb", 4, "grid")
    assert {each.coefficients["a"] for each in found} == {-1.0, 1.0}
    assert {each.coefficients["b"] for each in found} == {0.0, 1.5}
    for each in design(given, "pcb", 50, "sobol"):
        assert -1 <= each.coefficients["a"] <= 1 and 0 <= each.coefficients["b"] <= 1.5


@pytest.mark.parametrize("points", [1, 2, 3, 6, 10, 11, 40])
def test_a_simplex_grid_is_the_finest_lattice_that_fits(points: int) -> None:
    found = design(study("a", "b"), "linear", points, "grid")
    steps = max((s for s in range(1, 20) if math.comb(s + 2, 2) <= points), default=0)
    assert len(found) == (math.comb(steps + 2, 2) if steps else 1) <= points
    for each in found:
        assert math.isclose(sum(each.coefficients.values()), 1.0, abs_tol=3e-4)
        assert all(value >= 0 for value in each.coefficients.values())
    if steps:
        corners = [each for each in found if max(each.coefficients.values()) == 1.0]
        assert len(corners) == 3


def test_sobol_on_a_simplex() -> None:
    found = design(study("a", "b"), "logit_fusion", 64, "sobol")
    assert len(found) == 64
    for each in found:
        assert math.isclose(sum(each.coefficients.values()), 1.0, abs_tol=3e-4)
    mean = [sum(each.coefficients[name] for each in found) / 64 for name in ("base", "a", "b")]
    assert all(abs(each - 1 / 3) < 0.05 for each in mean)  # spread evenly over the triangle


@pytest.mark.parametrize("strategy", ["grid", "sobol"])
@pytest.mark.parametrize("method", SWEPT)
def test_recipes_are_valid_distinct_and_repeatable(method: str, strategy: str) -> None:
    given = study("a", "b", "c")
    found = design(given, method, 30, strategy, seed=3)
    assert 1 < len(found) <= 30
    assert len(set(found)) == len(found) == len({each.key for each in found})
    assert found == design(given, method, 30, strategy, seed=3)
    for each in found:
        assert each == resolve(each, given.family.names)
        assert all(value == round(value, 4) for value in each.coefficients.values())


def test_sobol_keeps_its_points_when_there_are_more() -> None:
    given = study("a", "b")
    few, many = (design(given, "pcb", count, "sobol", seed=1) for count in (8, 32))
    assert many[:8] == few
    assert design(given, "pcb", 8, "sobol", seed=2) != few


def test_a_sum_of_zero_is_left_out() -> None:
    given = study("a", ranges={"linear": {"base": (-1.0, 1.0), "a": (-1.0, 1.0)}})
    found = design(given, "linear", 9, "grid")
    assert len(found) == 6
    assert all(sum(each.coefficients.values()) != 0 for each in found)


@pytest.mark.parametrize(
    ("method", "points", "strategy", "word"),
    [
        ("single", 4, "grid", "no coefficients"),
        ("pcb", 0, "grid", "got 0"),
        ("pcb", 4, "random", "'random'"),
        ("pbc", 4, "grid", "mean pcb"),
    ],
)
def test_is_refused(method: str, points: int, strategy: str, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        design(study("a"), method, points, strategy)


def test_bands_of_layers_are_dimensions_of_their_own() -> None:
    given = study("a", "b", ranges={"pcb": {"a": (-1.0, 1.0)}})
    found = design(given, "pcb", 64, "sobol", 0, {"groups": 2})
    assert len(found) == 64 and list(found[0].coefficients) == ["a@1", "a@2", "b@1", "b@2"]
    for name, low, high in (("a@1", -1, 1), ("a@2", -1, 1), ("b@1", 0, 1.5), ("b@2", 0, 1.5)):
        values = [each.coefficients[name] for each in found]
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(values) <= high
    assert len(design(given, "pcb", 17, "grid", 0, {"groups": 2})) == 2**4


@pytest.mark.parametrize("strategy", ["sobol", "grid"])
def test_each_band_of_a_mixture_has_shares_of_its_own(strategy: str) -> None:
    found = design(study("a", "b"), "linear", 40, strategy, 0, {"groups": 2})
    assert 30 < len(found) <= 40
    for each in found:
        for band in (1, 2):
            own = [each.coefficients[f"{name}@{band}"] for name in ("base", "a", "b")]
            assert math.fsum(own) == pytest.approx(1.0, abs=3e-4) and min(own) >= 0
    assert any(each.coefficients["a@1"] != each.coefficients["a@2"] for each in found)
