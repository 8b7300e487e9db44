"""Votes as a document, for commands: by voter, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from engine.recipe import Recipe
from studio.votes.ballots import Vote
from studio.votes.counting import bias, pairs, rate, strengths


def report(votes: Sequence[Vote]) -> dict[str, Any]:
    """Every voter with its win rates, position bias and strengths; each point with its recipe."""
    recipes: dict[str, Recipe] = {}
    for each in votes:
        recipes.update(each.recipes)
    return {
        "votes": len(votes),
        "points": [{"id": point, "recipe": each.as_dict()} for point, each in recipes.items()],
        "voters": [
            voter(by, [each for each in votes if each.by == by])
            for by in dict.fromkeys(each.by for each in votes)
        ],
    }


def voter(by: str, votes: Sequence[Vote]) -> dict[str, Any]:
    """What one voter says; a number that does not exist is None."""
    rates = [found for pair in pairs(votes) if (found := rate(votes, *pair)) is not None]
    return {
        "by": by,
        "votes": len(votes),
        "pairs": [_finite(asdict(each)) for each in rates],
        "position": _finite(asdict(bias(votes))),
        "strengths": [
            {"point": point, "strength": value, "stderr": error}
            for point, (value, error) in strengths(votes).items()
        ],
    }


def _finite(numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(each, float) and not math.isfinite(each) else each
        for name, each in numbers.items()
    }
