"""The surrogate's arithmetic against what is known by hand or from tables."""

from __future__ import annotations

import numpy as np
import pytest

from engine.search.least_squares import orthonormal, solve, student, unexplained
from engine.search.quadratic import TooFew


def test_weights_by_hand() -> None:
    """A mean of 0 and 3 where the second has twice the variance is 1, of variance 2 / 3."""
    rows, back = orthonormal(np.ones((2, 1)))
    beta, factor = solve(rows, np.array([0.0, 3.0]), np.array([1.0, 2.0]))
    assert back @ beta == pytest.approx([1.0])
    assert (back @ factor) ** 2 == pytest.approx(2.0 / 3.0)


def test_an_orthonormal_design_spans_the_same() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 3)) * [1e-6, 1.0, 1e6]
    q, back = orthonormal(rows)
    np.testing.assert_allclose(q.T @ q, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(q, rows @ back, atol=1e-12)


def test_a_design_of_lower_rank_is_refused() -> None:
    with pytest.raises(TooFew) as caught:
        orthonormal(np.ones((5, 2)))
    assert (caught.value.have, caught.value.need) == (1, 2)
    with pytest.raises(TooFew):
        orthonormal(np.empty((0, 2)))


def test_what_is_unexplained_brings_the_residuals_to_their_number() -> None:
    squares, variance = np.array([4.0, 9.0, 1.0, 2.0]), np.array([0.1, 1.0, 2.0, 0.5])
    found = unexplained(squares, variance, 3)
    assert (squares / (variance + found)).sum() == pytest.approx(3.0, rel=2e-3)
    assert unexplained(squares, 10.0 * variance + 10.0, 3) == 0.0
    assert unexplained(squares, variance, 0) == 0.0


def test_quantiles_of_student_from_a_table() -> None:
    for freedom, value in ((4, 2.776), (6, 2.447), (10, 2.228), (30, 2.042), (1e9, 1.960)):
        assert student(freedom) == pytest.approx(value, rel=3e-3)
