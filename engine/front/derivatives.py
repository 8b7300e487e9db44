"""Signs and functions of expressions over objectives, with exact derivatives (forward mode)."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import numpy as np

from engine.front.pareto import Floats

Slope = tuple[Floats, Floats]
"""A value [n] and its derivatives [n, m] by the m objectives."""


def combined(sign: ast.operator, left: Slope, right: Slope, constant: bool) -> Slope:
    """Two parts and the sign between them.

    Args:
        constant: the right one names no objective.
    """
    (a, da), (b, db) = left, right
    if isinstance(sign, ast.Add):
        return a + b, da + db
    if isinstance(sign, ast.Sub):
        return a - b, da - db
    if isinstance(sign, ast.Mult):
        return a * b, da * b[:, None] + db * a[:, None]
    if isinstance(sign, ast.Div):
        found = a / b
        return found, (da - found[:, None] * db) / b[:, None]
    found = a**b
    if constant:
        by = np.where(b == 0.0, 0.0, b * a ** (b - 1.0))
        return found, da * by[:, None]
    return found, found[:, None] * (db * np.log(a)[:, None] + da * (b / a)[:, None])


def called(name: str, parts: Sequence[Slope]) -> Slope:
    """A function of parts."""
    if name in ("min", "max"):
        found, slope = parts[0]
        for value, other in parts[1:]:
            better = value < found if name == "min" else value > found
            lost = np.isnan(found) | np.isnan(value)
            found = np.where(lost, np.nan, np.where(better, value, found))
            slope = np.where(better[:, None], other, slope)
        return found, slope
    ((a, da),) = parts
    if name == "abs":
        return np.abs(a), da * np.where(a < 0, -1.0, 1.0)[:, None]
    if name == "log":
        return np.log(a), da / a[:, None]
    if name == "exp":
        return np.exp(a), da * np.exp(a)[:, None]
    return np.sqrt(a), da / (2.0 * np.sqrt(a))[:, None]
