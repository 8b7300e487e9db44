"""Several objectives as one: their mean, the worst of them, or their mean less k·sd.

    the same rows    row by row, then averaged: errors are paired, as an ensemble of reward models
                     is combined for each example (worst-case and uncertainty-weighted
                     optimisation, arXiv 2310.02743)
    other rows       of the means, with the error of the delta method: slopes times the members'
                     errors, whose covariance is that of the rows they share

sd is over the members, divided by their number (ddof 0). For what is minimised the worst is the
largest, and k·sd is added. No model runs: a score is saved once each member has one
(studio/combining.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import bad
from engine.parameter import Says
from engine.scoring.intervals import interval
from engine.scoring.registry import find_scorer, scorer
from engine.scoring.scores import Score, unmeasured

Floats = NDArray[np.float64]

_LESS = re.compile(r"mean\s*[-−]\s*(?:(\d+(?:\.\d+)?)\s*[*·]\s*)?sd")


@dataclass(frozen=True)
class Rule:
    """How values of the members, float64 [members, …], become one.

    Attributes:
        k: standard deviations that are taken off the mean; None for the worst.
    """

    k: float | None

    def of(self, values: Floats, maximize: bool) -> Floats:
        """The combination along the first axis."""
        if self.k is None:
            return np.asarray(values.min(axis=0) if maximize else values.max(axis=0))
        off = self.k * values.std(axis=0)
        return np.asarray(values.mean(axis=0) - (off if maximize else -off))

    def slopes(self, mean: Floats, error: Floats, maximize: bool) -> Floats | None:
        """Its derivatives by the members' means, float64 [members]; of several worst ones by that
        with the largest error; None where there are none: sd is 0, and the members' errors not."""
        if self.k is None:
            worst = np.flatnonzero(mean == self.of(mean, maximize))
            found = np.zeros(len(mean))
            found[worst[np.argmax(error[worst])]] = 1.0
            return found
        even, sd = np.full(len(mean), 1 / len(mean)), float(mean.std())
        if not self.k:
            return even
        if sd == 0:
            return even if not error.any() else None
        part = self.k * (mean - mean.mean()) / (len(mean) * sd)
        return np.asarray(even - part if maximize else even + part)


def rule_of(text: str, where: str = "combine") -> Rule:
    """The rule that a text says; raises `BadInput` if it says none."""
    said = text.strip()
    if said in ("mean", "worst"):
        return Rule(0.0 if said == "mean" else None)
    found = _LESS.fullmatch(said)
    if found is None:
        raise bad(where, f"{text!r} combines nothing", 'Write mean, worst or "mean - 1*sd".')
    return Rule(float(found[1] or 1))


@dataclass(frozen=True)
class Member:
    """A point's score on a member.

    Attributes:
        mean, stderr: finite, but that a stderr is NaN where n is 1.
        values: float64 [n], one a row.
        rows: a name of its rows, the same for members that are measured on the same ones.
        proportion: whether it is a share of examples.
    """

    mean: float
    stderr: float
    values: Floats
    rows: str
    proportion: bool

    @property
    def error(self) -> float:
        """Its standard error; of a proportion whose examples all agree that of Jeffreys' posterior,
        Beta(k + ½, n − k + ½)."""
        if not self.proportion or self.stderr > 0 or not len(self.values):
            return self.stderr
        n = len(self.values)
        share = (self.mean * n + 0.5) / (n + 1)
        return math.sqrt(share * (1 - share) / (n + 2))


def combined(rule: Rule, members: Sequence[Member], maximize: bool) -> Score:
    """The score of a combination.

    Its values are those of the rows; where members have other rows, each row's influence on the
    combination, about it, so that their mean is the score and draws over rows are paired.
    """
    sizes: dict[str, int] = {}
    for each in members:
        n = len(each.values)
        if sizes.setdefault(each.rows, n) != n or not n or not np.isfinite(each.values).all():
            return unmeasured(max(1, n), "its members have no results on the same rows")
    mean, error = (np.array([getattr(each, of) for each in members]) for of in ("mean", "error"))
    if len(sizes) == 1:
        values = rule.of(np.stack([each.values for each in members]), maximize)
        n, centre = len(values), float(values.mean())
        stderr = float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
        if np.ptp(values) == 0:  # no certainty where the members have none
            stderr = max((each.error for each in members if each.proportion), default=stderr)
        return _score(centre, stderr, values)
    centre, total = float(rule.of(mean, maximize)), sum(sizes.values())
    slopes = rule.slopes(mean, error, maximize)
    known = np.zeros(len(mean)) if slopes is None else slopes
    parts, squares = [], 0.0
    for name, n in sizes.items():
        own = [
            (slope, each) for slope, each in zip(known, members, strict=True) if each.rows == name
        ]
        moved = np.sum([slope * (each.values - each.values.mean()) for slope, each in own], axis=0)
        parts.append(centre + total / n * moved)
        used = any(slope for slope, _ in own)
        if n > 1 and moved.any():
            squares += float(moved @ moved) / (n * (n - 1))
        elif used:
            squares += sum((slope * each.error) ** 2 for slope, each in own)
    return _score(centre, math.nan if slopes is None else math.sqrt(squares), np.concatenate(parts))


def _score(mean: float, stderr: float, values: Floats) -> Score:
    known, n = (stderr if math.isfinite(stderr) else None), len(values)
    limits = interval(find_scorer("combination"), mean, known, n)
    return Score(mean + 0.0, known, n, *limits, tuple(values.tolist()))


def _checked(options: Mapping[str, Any], where: str) -> None:
    rule_of(options["combine"], f"{where}: option combine")
    names = options["of"]
    if len(set(names)) < 2 or len(set(names)) < len(names):
        what = f"it combines {', '.join(names)}"
        raise bad(f"{where}: option of", what, "Name two or more objectives, each once.")


@scorer(
    kind="combined",
    direction="maximize",
    mean="mean",
    needs="nothing",
    check=_checked,
    unit="as its members",
    summary="several objectives of one unit and direction as one, worked out from their scores: "
    "row by row where they share their rows, else from their means",
    source="worst-case and uncertainty-weighted ensembles, arXiv 2310.02743",
)
def combination(
    value: float,
    row: None,
    *,
    combine: Annotated[
        str,
        Says("`mean`, `worst`, or `mean - k*sd` with the sd over the members (ddof 0)."),
    ],
    of: Annotated[tuple[str, ...], Says("Names of the objectives that are combined.")],
) -> float:
    return value
