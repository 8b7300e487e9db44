"""Who said it: each token of an answer tinted by whose coefficient raised its probability most.

    answers of a comparison ─► payload_of ─► job "attribute" ─► with_attribution ─► the component

Pure; no widget. An answer's tokens stay its text; numbers stand beside them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.recipe import Recipe, find_method
from studio.compare.comparing import Asked

LEAST = 0.005
"""A smaller rise of a probability gives no tint."""

WORDS = (
    "A token has the colour and the line of the coefficient that raised its probability most, "
    "stronger the more it did, by the mixture's own probabilities, before temperature and top p. "
    "Point at a token, or press an arrow key in an answer, for its numbers."
)
NOTHING = "one model: there is nothing to attribute"
MERGED = "merged into one model: there is nothing to attribute"


def attributable(recipe: Recipe) -> bool:
    """Whether a recipe mixes models at every token."""
    return recipe.unmerged is None and find_method(recipe.method).space == "logit"


def payload_of(
    asked: Mapping[str, Any], result: Mapping[str, Any], attributed: Sequence[bool]
) -> dict[str, Any]:
    """What the job is asked.

    Args:
        asked: payload of the comparison.
        result: of the comparison.
        attributed: of each of its columns whether it is wanted.
    """
    kept = ("recipes", "prompts", "chat", "stop", "template_kwargs")
    wanted = zip(result["columns"], attributed, strict=True)
    ids = [[out["token_ids"] for out in each["outputs"]] if yes else [] for each, yes in wanted]
    return {name: asked[name] for name in kept if name in asked} | {"token_ids": ids}


@dataclass(frozen=True)
class _Token:
    """Tokens that bring characters together, mostly one: the product of their probabilities."""

    text: str
    probability: float
    without: Mapping[str, float]
    contribution: Mapping[str, float]

    @property
    def words(self) -> str:
        """Its numbers, a line each."""
        lines = [f"probability {self.probability:.3f}"]
        lines += [f"without {name} {value:.3f}" for name, value in self.without.items()]
        if self.contribution:
            parts = (f"{name} {_signed(value)}" for name, value in self.contribution.items())
            lines.append(f"contributions in nats: {', '.join(parts)}")
        return "\n".join(lines)

    def mark(self, names: Sequence[str]) -> dict[str, Any]:
        """Who raised it most (place among the names; None if nobody did), how much, and words."""
        raised = {name: self.probability - value for name, value in self.without.items()}
        most = max(raised, key=lambda name: raised[name], default=None)
        if most is None or raised[most] < LEAST:
            return {"who": None, "size": 0.0, "words": self.words}
        return {"who": names.index(most), "size": round(raised[most], 3), "words": self.words}


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _tokens(found: Mapping[str, Any]) -> Iterator[_Token]:
    """The tokens of an answer; one that brings no character goes with the next that does."""
    without = {name: each for name, each in found["without"].items() if each is not None}
    parts = found["contribution"] or {}
    start = 0
    for place, text in enumerate(found["tokens"]):
        if text:
            here = slice(start, place + 1)
            yield _Token(
                text,
                math.prod(found["probability"][here]),
                {name: math.prod(each[here]) for name, each in without.items()},
                {name: sum(each[here]) for name, each in parts.items()},
            )
            start = place + 1


def with_attribution(
    drawn: Mapping[str, Any],
    tray: Sequence[Recipe],
    asked: Asked,
    columns: Sequence[Sequence[Mapping[str, Any] | None]] | None,
    words: str = WORDS,
) -> dict[str, Any]:
    """The grid (`comparing.grid`) with "who": {"names", "words"}, and a third member in each piece
    of an answer that is attributed: {"who": place of a name or None, "size": 0 to 1, "words"}.

    Args:
        columns: of the job's result; None until it is there.
        words: said above the answers.
    """
    places = [asked.column(each) for each in tray]
    names: dict[str, None] = {}
    for place in places if columns is not None else ():
        for found in () if place is None or columns is None else columns[place]:
            names |= dict.fromkeys(found["without"] if found else ())
    known = list(names)
    rows = []
    for row, shown in enumerate(drawn["rows"]):
        cells = []
        for recipe, place, cell in zip(tray, places, shown["cells"], strict=True):
            if not attributable(recipe):
                why = NOTHING if recipe.unmerged is not None else MERGED
                cell = {**cell, "note": " · ".join(each for each in (cell["note"], why) if each)}
            elif columns is not None and place is not None and columns[place]:
                found = columns[place][row]
                tokens = _tokens(found) if found else ()
                cell = {**cell, "pieces": [("same", t.text, t.mark(known)) for t in tokens]}
            cells.append(cell)
        rows.append({**shown, "cells": cells})
    return {**drawn, "rows": rows, "who": {"names": known, "words": words}}
