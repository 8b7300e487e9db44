"""From per-example values to a score. Never NaN: a missing score is None, with the reason.

proportion   mean of values from 0 to 1
mean         mean of examples
balanced,    mean of the values that all examples together give each, with the error that the
calibration  scorer says (`Scorer.pooled`)
perplexity   exp(Σ t_i v_i / Σ t_i), examples of t_i tokens and mean loss v_i; the error of the
             ratio by linearisation (delta method)

The intervals are those of `engine.scoring.intervals`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.scoring.intervals import interval
from engine.scoring.registry import Scorer


@dataclass(frozen=True)
class Score:
    """One composed model on one objective.

    Attributes:
        mean: None if it does not exist; `error` says why.
        stderr: sd (ddof 1) / √n; None at n = 1.
        n: number of examples.
        low, high: 95 % interval; None if there is none.
        values: one an example, in the order of the rows; None for a value that is not finite. For
            perplexity the example's own perplexity. None at all where nothing was measured.
        error: why there is no mean; None if there is one.
    """

    mean: float | None
    stderr: float | None
    n: int
    low: float | None
    high: float | None
    values: tuple[float | None, ...] = ()
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The summary, without the values."""
        names = ("mean", "stderr", "n", "low", "high")
        return {name: getattr(self, name) for name in names}


def _finite(value: float | None) -> float | None:
    # + 0.0: a loss of −0.0 is 0
    return value + 0.0 if value is not None and math.isfinite(value) else None


def _exp(value: float) -> float:
    return math.exp(value) if value < 709.0 else math.inf


def _mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return mean, None
    squares = math.fsum((value - mean) * (value - mean) for value in values)
    return mean, math.sqrt(squares / (n - 1) / n)


def _perplexity(losses: Sequence[float], weights: Sequence[float]) -> tuple[float, float | None]:
    """Mean (perhaps ∞) and error of examples of `weights` tokens with mean losses `losses`."""
    n, tokens = len(losses), math.fsum(weights)
    ratio = math.fsum(w * v for w, v in zip(weights, losses, strict=True)) / tokens
    mean = _exp(ratio)
    if n == 1:
        return mean, None
    residuals = [w * (v - ratio) for w, v in zip(weights, losses, strict=True)]
    squares = math.fsum(residual * residual for residual in residuals)
    return mean, mean * (math.sqrt(squares / (n - 1) * n) / tokens)


def unmeasured(n: int, error: str, values: Sequence[float | None] = ()) -> Score:
    """The score of n examples that has no mean, and why."""
    return Score(None, None, n, None, None, tuple(values), error)


def summarise(
    scorer: Scorer,
    values: Sequence[float],
    weights: Sequence[float] | None = None,
    rows: Sequence[Any] = (),
    options: Mapping[str, Any] | None = None,
) -> Score:
    """The score of per-example values.

    Args:
        values: one an example, at least one; for perplexity the example's mean loss.
        weights: tokens an example, > 0; only perplexity uses them (default: all equal).
        rows, options: of the scorer; only one that pools its values needs them.

    Raises:
        ValueError: no values at all, or not as many weights.
    """
    n = len(values)
    if n == 0:
        raise ValueError("a score needs at least one value")
    if weights is not None and len(weights) != n:
        raise ValueError(f"{n} values but {len(weights)} weights")
    perplexity = scorer.mean == "perplexity"
    kept = tuple(_finite(float(value)) for value in values)
    finite = [value for value in kept if value is not None]
    if perplexity:
        kept = tuple(None if value is None else _finite(_exp(value)) for value in kept)
    if len(finite) < n:
        first = next(place for place, value in enumerate(values) if not math.isfinite(value))
        error = (
            f"{n - len(finite)} of {n} examples have no finite value: {scorer.name} of example"
            f" {first + 1} is {_called(float(values[first]))}"
        )
        return unmeasured(n, error, kept)
    if perplexity:
        mean, stderr = _perplexity(finite, weights if weights is not None else [1.0] * n)
    elif scorer.pooled is not None:
        finite, stderr = scorer.pooled(finite, rows, options or {})
        kept, mean = tuple(finite), math.fsum(finite) / n
    else:
        mean, stderr = _mean_and_error(finite)
    if not math.isfinite(mean):
        return unmeasured(n, f"its {scorer.name} exceeds the range of a float", kept)
    # not beyond what is possible by rounding
    mean, stderr = min(max(mean + 0.0, scorer.least), scorer.most), _finite(stderr)
    return Score(mean, stderr, n, *interval(scorer, mean, stderr, n), kept)


def _called(value: float) -> str:
    if math.isnan(value):
        return "not a number"
    return "infinite" if value > 0 else "minus infinite"
