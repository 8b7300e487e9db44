"""Points of a study that failed, why, and the sweep that tries them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.recipe import Recipe, recipe_from_dict
from studio.points.recipes import recipe_text
from studio.workbench import Workbench


@dataclass(frozen=True)
class Failed:
    """A point that failed, or that has no value of an objective.

    Attributes:
        again: whether there is anything to try again: a score that is no number stays none.
    """

    recipe: Recipe
    reason: str
    again: bool


def failed_points(bench: Workbench) -> list[Failed]:
    """The points that failed or lack a value; none until points can be known."""
    known = bench.known
    if known is None:
        return []
    points = bench.store.points(known.family, known.objectives, "explore", known.numerics)
    return [
        Failed(
            recipe_from_dict(point.recipe),
            point.error,
            any(each.name not in point.scores for each in bench.objectives),
        )
        for point in points
        if point.error is not None
    ]


def failed_rows(failed: Iterable[Failed]) -> list[dict[str, str]]:
    """The table of failed points."""
    return [{"recipe": recipe_text(each.recipe), "reason": each.reason} for each in failed]


def designs_again(recipes: Iterable[Recipe]) -> list[dict[str, Any]]:
    """The designs of a sweep that retries recipes, by method."""
    counts = Counter(each.method for each in recipes)
    return [
        {"method": method, "strategy": "again", "points": count} for method, count in counts.items()
    ]
