"""How much of the gap between two models a point closes: (s − s0) / (s1 − s0).

0 is the model that it is measured from, 1 the one that it is measured to, whichever way better
lies. All three are scored on the same rows, so the error is that of a ratio of paired means, by
linearisation (delta method; Cochran 1977, section 6.4): with the rows' values x, a and b,

    r = (x − a) − g (b − a)        stderr = sd(r, ddof 1) / √n / |mean(b − a)|

Where the two models are within the noise of each other, |mean(b − a)| < 1.96 sd(b − a) / √n, the
ratio would be noise over noise, and there is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import bad, unknown
from engine.recipe import Recipe, resolve, unmerged
from engine.scoring.intervals import Z95
from engine.scoring.registry import find_scorer
from engine.study import Objective
from studio.compare.outcomes import values_of
from studio.references import references_of
from studio.workbench import Workbench

SAME = "the two are the same"


@dataclass(frozen=True)
class Gap:
    """The share of the gap that a point closes on one objective.

    Attributes:
        value: None where there is none; `reason` says why.
        stderr: None where one row was measured, or where the scores are counted.
        n: rows that all three have a value of.
    """

    value: float | None
    stderr: float | None = None
    n: int = 0
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """As commands print it."""
        return {"value": self.value, "stderr": self.stderr, "n": self.n, "reason": self.reason}


def closed(
    own: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    *,
    exact: bool = False,
    share: bool = False,
) -> Gap:
    """The gap closed by values whose means are the scores.

    Args:
        own, start, end: float64 [rows] of the point, the model from which and to which it counts.
        exact: whether the scores are counted, and have no noise.
        share: whether rows are right or wrong: if no row's r differs from another's, one in 2 (n +
            1) is taken to (Jeffreys), so that the error is not 0.
    """
    there = np.isfinite(own) & np.isfinite(start) & np.isfinite(end)
    n = int(there.sum())
    if n < len(own):
        return Gap(None, None, n, f"{len(own) - n} of {len(own)} rows have no value")
    width, gain = end - start, own - start
    whole = float(width.mean())
    if exact:
        return Gap(float(gain.mean()) / whole, None, n) if whole else Gap(None, None, n, SAME)
    if n < 2:
        return Gap(None, None, n, "one row says nothing of the noise")
    if not width.any():
        return Gap(None, None, n, SAME)
    noise = float(width.std(ddof=1)) / math.sqrt(n)
    if abs(whole) <= Z95 * noise:
        return Gap(None, None, n, f"the two are within the noise: {whole:.3g} ± {noise:.2g}")
    value = float(gain.mean()) / whole
    rest = gain - value * width
    spread = float(rest.std(ddof=1))
    if share and spread == 0.0:
        rate = 0.5 / (n + 1)
        spread = math.sqrt(rate * (1 - rate))
    return Gap(value, spread / math.sqrt(n) / abs(whole), n)


def ends_of(bench: Workbench, names: Sequence[str], where: str = "--gap") -> tuple[str, str]:
    """The two models of a gap; raises `BadInput` where they are not two, each of the family or
    a reference."""
    known = [*bench.names.models, *bench.study.references]
    if len(names) != 2 or names[0] == names[1]:
        what = f"expected two models, got {', '.join(names) or 'none'}"
        raise bad(where, what, f"Give the one to start from and the one to reach: {known[0]},NAME.")
    for name in names:
        if name not in known:
            raise unknown(where, "model", name, known)
    return names[0], names[1]


def gaps(
    bench: Workbench,
    recipe: Recipe,
    objectives: Iterable[Objective],
    ends: tuple[str, str],
    split: str = "explore",
) -> dict[str, Gap]:
    """Objective -> the gap that a recipe closes between two models, of the family or references."""
    models = {
        name: resolve(unmerged(name), bench.names) for name in ends if name in bench.names.models
    }

    def values(name: str, objective: Objective) -> np.ndarray | None:
        if name in models:
            return values_of(bench, objective, models[name], split)
        return references_of(bench).values(name, objective, split)

    found = {}
    for each in objectives:
        scorer = find_scorer(each.scorer)
        if scorer.mean == "perplexity":
            found[each.name] = Gap(
                None, reason="a perplexity is no mean of rows: measure nll on the same data"
            )
            continue
        seen = [values_of(bench, each, recipe, split), *(values(name, each) for name in ends)]
        lacking = [name for name, one in zip(("it", *ends), seen, strict=True) if one is None]
        there = [one for one in seen if one is not None]
        if lacking:
            found[each.name] = Gap(None, reason=f"not measured: {', '.join(lacking)}")
        elif len({len(one) for one in there}) > 1:
            found[each.name] = Gap(None, reason="they were measured on other rows")
        else:
            found[each.name] = closed(
                there[0], there[1], there[2], exact=scorer.exact,
                share=scorer.right_or_wrong and recipe not in models.values(),
            )  # fmt: skip
    return found


def gap_text(found: Gap) -> str:
    """A gap for people."""
    if found.value is None:
        return f"– ({found.reason})"
    return f"{found.value:.3f}" + ("" if found.stderr is None else f" ± {found.stderr:.3f}")
