"""A score in words: its mean, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

REASON = 300
"""Characters of why there is no score."""

ONE = " (one example: no interval)"

KEPT = 1 << 15
"""Texts kept: a chart of 8,000 points is written again with each point that arrives."""


def number(
    mean: float,
    stderr: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """A score as text, always with its uncertainty if that is known.

    `0.612 ± 0.028 [0.555, 0.666]`: mean, standard error, 95 % interval; `1.000 [0.987, 1.000]`
    where the error is 0: no example failed, which is not certainty.
    """
    if not math.isfinite(mean):
        return "not measured"
    return _digits(mean) + how_sure(stderr, low, high)


@lru_cache(KEPT)
def how_sure(stderr: float | None, low: float | None, high: float | None) -> str:
    """The uncertainty after a mean; empty if nothing is known."""
    known = low is not None and high is not None and math.isfinite(low + high)
    text = f" [{_digits(low)}, {_digits(high)}]" if known else ""  # type: ignore[arg-type]
    if stderr is None or not math.isfinite(stderr) or (known and stderr == 0.0):
        return text
    return f" ± {_digits(stderr)}{text}"


def share_text(value: float) -> str:
    """A probability that is a share of draws: what is not seen in any may still happen."""
    return "under 1 %" if value < 0.01 else "over 99 %" if value > 0.99 else f"{100 * value:.0f} %"


def reason_of(said: str, names: Sequence[str], name: str) -> str | None:
    """Of "objective: why; objective: why" what concerns one; None if nothing does."""
    text = f"; {said}"
    starts = {each: text.find(f"; {each}: ") for each in names}
    at = starts[name]
    if at < 0:
        return None
    end = min((each for each in starts.values() if each > at), default=len(text))
    return text[at + len(name) + 4 : end]


def finite(text: str) -> float | None:
    """The number that a text is; None if it is none or not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _digits(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.4g}"
