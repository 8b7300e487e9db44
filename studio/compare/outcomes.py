"""What became of the rows: which a mixture kept, lost, or won though every parent failed.

    parents        mixture right        mixture wrong
    some right     kept                 lost
    all wrong      won                  failed

A mixture's parents are the models it is made of: base and the experts that it adds, or the models
whose logits it combines. Only rows that all of them have a value of count, and only objectives
whose rows are right or wrong. Pure but for `outcomes`, which reads the store.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.bands import plain
from engine.recipe import Names, Recipe, find_method, resolve, unmerged
from engine.scoring.registry import find_scorer
from engine.study import Objective
from studio.workbench import Workbench

KINDS = ("kept", "lost", "won", "failed")

WORDS = {
    "kept": "right, as a parent is",
    "lost": "wrong, where a parent is right",
    "won": "right, where every parent is wrong",
    "failed": "wrong, as every parent is",
}
"""Kind -> what its rows are."""


@dataclass(frozen=True)
class Outcomes:
    """What became of an objective's rows.

    Attributes:
        parents: names of the models.
        rows: kind -> int [k], places in the explore split.
        net: share of rows that are right less the share that some parent has right, which is
            (won − lost) / n.
        stderr: of `net`: sd (ddof 1) of won − lost over the rows ÷ √n, as both have the same rows;
            NaN where n is 1.
    """

    parents: tuple[str, ...]
    rows: dict[str, np.ndarray] = field(compare=False)
    net: float
    stderr: float

    @property
    def n(self) -> int:
        return sum(map(len, self.rows.values()))

    @property
    def counts(self) -> dict[str, int]:
        """Kind -> how many rows."""
        return {kind: len(rows) for kind, rows in self.rows.items()}


def parents_of(recipe: Recipe, names: Names) -> tuple[str, ...]:
    """The models that a resolved recipe mixes; none for one of them as it is."""
    if recipe.unmerged is not None:
        return ()
    method = find_method(recipe.method)
    if method.space == "logit":
        mixture = method.build(recipe.coefficients, names, **dict(recipe.parameters))
        return tuple(dict.fromkeys(mixture.models))
    used = {plain(name) for name, value in recipe.coefficients.items() if value != 0.0}
    return ("base", *(each for each in names.experts if each in used))


def became(
    own: np.ndarray, parents: np.ndarray, names: Sequence[str], *, maximize: bool = True
) -> Outcomes | None:
    """What became of the rows; None where no row has a value under all of them.

    Args:
        own: float64 [rows]; above ½ for a row that is right, NaN without a value.
        parents: float64 [parents ≥ 1, rows], likewise.
        names: of the parents.
        maximize: whether what the scorer calls right is what is wanted.
    """
    there = np.isfinite(own) & np.isfinite(parents).all(axis=0)
    if not there.any():
        return None
    right = (own > 0.5) == maximize
    some = ((parents > 0.5) == maximize).any(axis=0)
    found = dict(
        zip(KINDS, (right & some, ~right & some, right & ~some, ~right & ~some), strict=True)
    )
    change = (right.astype(float) - some)[there]
    n = len(change)
    stderr = float(change.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    rows = {kind: np.flatnonzero(mask & there) for kind, mask in found.items()}
    return Outcomes(tuple(names), rows, float(change.mean()), stderr)


def values_of(
    bench: Workbench, objective: Objective, recipe: Recipe, split: str = "explore"
) -> np.ndarray | None:
    """The values of a recipe's score, float64 [rows], NaN where there is none; None unmeasured."""
    known = bench.known
    if known is None:
        return None
    found = bench.store.scores(
        known.family,
        objectives={objective.name: known.objectives[objective.name]},
        split=split,
        numerics=known.numerics,
        point=bench.point_id(recipe),
    )
    if not found or not found[-1].get("values"):
        return None
    return np.array([np.nan if each is None else each for each in found[-1]["values"]], dtype=float)


def outcomes(
    bench: Workbench, recipe: Recipe, objectives: Iterable[Objective]
) -> dict[str, Outcomes | str]:
    """Objective -> what became of its rows under a recipe, or why that cannot be said."""
    found: dict[str, Outcomes | str] = {}
    names = parents_of(recipe, bench.names)
    for each in objectives:
        if not find_scorer(each.scorer).right_or_wrong:
            found[each.name] = "its rows are not right or wrong"
        elif not names:
            found[each.name] = "one model as it is has no parents"
        else:
            found[each.name] = _of(bench, recipe, each, names)
    return found


def _of(
    bench: Workbench, recipe: Recipe, objective: Objective, names: Sequence[str]
) -> Outcomes | str:
    models = [resolve(unmerged(name), bench.names) for name in names]
    values = [values_of(bench, objective, each) for each in (recipe, *models)]
    there = [each for each in values if each is not None]
    if len(there) < len(values):
        lacking = [name for name, each in zip(("it", *names), values, strict=True) if each is None]
        return f"not measured: {', '.join(lacking)}"
    if len({len(each) for each in there}) > 1:
        return "its models were measured on other rows"
    maximize = objective.direction == "maximize"
    made = became(there[0], np.array(there[1:]), names, maximize=maximize)
    return "no row has a value under all of them" if made is None else made


def label(letter: str, kind: str) -> str:
    """What Compare calls the rows of a kind under one of its columns."""
    return f"{letter} {kind}: {WORDS[kind]}"
