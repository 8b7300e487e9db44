"""Weighted least squares with unexplained variance: the arithmetic of the surrogate.

The design is made orthonormal once; then every further set of weights costs one small matrix.
"""

from __future__ import annotations

import numpy as np

from engine.search.quadratic import DETERMINED, Floats, TooFew


def orthonormal(rows: Floats) -> tuple[Floats, Floats]:
    """A design [n, p] as Q with orthonormal columns, and B [p, p] with Q = rows @ B.

    Raises:
        TooFew: its rank is lower than p.
    """
    need = rows.shape[1]
    if not len(rows):
        raise TooFew(0, need)
    lengths = np.sqrt((rows * rows).sum(axis=0))
    lengths[lengths == 0.0] = 1.0
    triangle = np.linalg.qr(rows / lengths, mode="r")
    long = np.linalg.svd(triangle, compute_uv=False)
    have = int((long > DETERMINED * long.max()).sum())
    if have < need:
        raise TooFew(have, need)
    back = np.linalg.inv(triangle) / lengths[:, None]
    return rows @ back, back


def solve(rows: Floats, values: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Weighted least squares on orthonormal rows X [n, p], corrected once for its rounding.

    Returns:
        beta [p], and F [p, p] with F Fᵀ = (Xᵀ V⁻¹ X)⁻¹.
    """
    weighted = rows / variance[:, None]
    factor = np.linalg.inv(np.linalg.cholesky(rows.T @ weighted)).T
    beta = np.zeros(rows.shape[1])
    for _ in range(2):
        beta += factor @ (factor.T @ (weighted.T @ (values - rows @ beta)))
    return beta, factor


def unexplained(squares: Floats, variance: Floats, left: int) -> float:
    """τ² at which Σ r² / (v + τ²) is the number of points beyond the parameters, 0 where it is less
    without any (Paule & Mandel 1982). Newton's steps from 0 do not pass it: the sum is convex.

    Args:
        squares: r² of each point.
        variance: v of each point.
    """
    found = 0.0
    for _ in range(40):
        weights = 1.0 / (variance + found)
        excess = float(squares @ weights) - left
        if left < 1 or excess <= 1e-3 * left:
            break
        found += excess / float(squares @ weights**2)
    return found


def student(freedom: float) -> float:
    """97.5 % quantile of Student's t of 4 or more degrees of freedom, to 0.3 %.

    Cornish–Fisher in 1/freedom (Abramowitz & Stegun 26.7.5).
    """
    z = 1.959963984540054
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
