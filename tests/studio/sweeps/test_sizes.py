"""How many points a design will have, in numbers and in words."""

from __future__ import annotations

from pathlib import Path

import pytest

import engine  # noqa: F401  (registers every method)
from engine.recipe import METHODS, find_method
from engine.search.designs import design
from engine.study import FamilySpec, Study
from studio.sweeps.sizes import shortfalls, size_of, size_words

SWEEPABLE = sorted(name for name, each in METHODS.items() if each.takes_coefficients)
Ranges = dict[str, dict[str, tuple[float, float]]]


def study_of(experts: int, ranges: Ranges | None = None) -> Study:
    """A study of so many experts; nothing of it is on disk."""
    names = {f"e{n}": Path(f"/models/e{n}") for n in range(experts)}
    family = FamilySpec(Path("/models/base"), names, Path("/models/target"))
    return Study("s", Path("/study.yaml"), family, (), ranges or {})


@pytest.mark.parametrize(
    ("experts", "points", "words", "short"),
    [
        (3, 25, "8 points, 2 levels each over 3 coefficients",
         "pcb: 8 points, not 25: 2 levels for each of 3 coefficients. The next finer one has 27"
         " points."),
        (5, 25, "1 point, 1 level each over 5 coefficients",
         "pcb: 1 point, not 25: 1 level for each of 5 coefficients. The next finer one has 32"
         " points."),
        (1, 25, "25 points, 25 levels each over 1 coefficient", ""),
        (2, 9, "9 points, 3 levels each over 2 coefficients", ""),
    ],
)  # fmt: skip
def test_a_grid_says_how_many_points_it_really_is(
    experts: int, points: int, words: str, short: str
) -> None:
    size = size_of(study_of(experts), find_method("pcb"), points, "grid")
    assert size_words(size) == words
    assert shortfalls([size]) == ([short] if short else [])


def test_a_lattice_says_where_the_next_finer_one_is() -> None:
    study = study_of(2)
    size = size_of(study, find_method("linear"), 9, "grid")
    assert size_words(size) == "6 points, a lattice of mixtures over 3 coefficients"
    assert shortfalls([size]) == ["linear: 6 points, not 9. The next finer one has 10 points."]
    assert size_of(study, find_method("linear"), 10, "grid").points == 10


@pytest.mark.parametrize("strategy", ["grid", "sobol"])
@pytest.mark.parametrize("method", SWEEPABLE)
def test_what_the_form_offers_is_never_refused_and_has_as_many_points_as_it_says(
    method: str, strategy: str
) -> None:
    """Every method of the list with either design, of 1, 2, 3 and 5 experts."""
    fixed: Ranges = {method: {"e0": (0.5, 0.5)}}
    for study in (*map(study_of, (1, 2, 3, 5)), study_of(1, fixed)):
        for points in (1, 2, 25, 33):
            size = size_of(study, find_method(method), points, strategy)
            recipes = design(study, method, points, strategy)
            assert len(recipes) == size.points > 0
            assert design(study, method, size.same, strategy) == recipes
