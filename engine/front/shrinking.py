"""Noisy scores of many points drawn towards what the points have in common: empirical Bayes.

    scores = truth + what all share (the rows were hard) + each point's own error

Of many noisy points those that look best are lucky on average, and a front of lucky points leaves
too little room for the others. With the truths of the points about normal, N(μ, T) over the
objectives, the points' own errors of covariance S and both taken from the points themselves, the
posterior of a point is N(x + B (μ − x), S − B S) with B = S (S + T)⁻¹ (Efron and Morris, JASA 70,
1975). No point moves farther than √m of its own errors (their limited translation), so that one
that is unlike the others stays what it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST = 1e-8
"""Of an error's variance, in units of the points' own: less is no noise."""

FEW = 4
"""Points for each objective and one more, below which they say too little of what they share."""


def _root(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Symmetric square roots of positive semidefinite matrices [..., m, m]."""
    values, vectors = np.linalg.eigh(matrices)
    scaled = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    return np.asarray(scaled @ np.swapaxes(vectors, -1, -2))


def shrunk(
    drawn: NDArray[np.float64],
    middle: NDArray[np.float64] | None = None,
    spread: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Draws of scores around their means as draws of the truth, float64 [draws, n, m]; those of
    few points as they are.

    What a draw does to all points alike, it does to them still; what is certain stays as it is.

    Args:
        drawn: float64 [draws, n, m] of `engine.front.noise.draw`; the points all different.
        middle, spread: mean [m] and covariance [m, m] of all points' scores, where those drawn are
            only the best of them.
    """
    draws, n, m = drawn.shape
    if n < FEW * (m + 1):
        return drawn
    centre = drawn.mean(axis=0)
    own = drawn - centre
    shared = own.mean(axis=1, keepdims=True)
    own -= shared
    unit = centre.std(axis=0)
    unit[unit == 0] = 1.0
    error = np.einsum("bjk,bjl->jkl", own, own, optimize=True) / draws
    error = error / np.outer(unit, unit) + LEAST * np.eye(m)
    total = np.cov(centre.T).reshape(m, m) if spread is None else spread
    values, vectors = np.linalg.eigh(total / np.outer(unit, unit) - error.mean(axis=0))
    truth = (vectors * np.maximum(values, LEAST)) @ vectors.T

    pull = error @ np.linalg.inv(error + truth)
    aim = (centre.mean(axis=0) if middle is None else middle) - centre
    move = np.einsum("jkl,jl->jk", pull, aim / unit)
    length = np.sqrt(np.einsum("jk,jkl,jl->j", move, np.linalg.inv(error), move))
    move *= np.minimum(1.0, np.sqrt(m) / np.maximum(length, LEAST))[:, None]
    left = error - pull @ error
    left = (left + np.swapaxes(left, 1, 2)) / 2
    root = _root(error)
    inverse = np.linalg.inv(root)
    narrowed = inverse @ _root(root @ left @ root) @ inverse  # A with A S A = S − B S
    own = np.matmul(own.transpose(1, 0, 2) / unit, np.swapaxes(narrowed, 1, 2))
    found = (centre[:, None, :] + (move[:, None, :] + own) * unit).transpose(1, 0, 2) + shared
    certain = (drawn == drawn[:1]).all(axis=0)
    return np.where(certain, drawn, found)
