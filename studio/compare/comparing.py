"""Answers side by side: which columns, which texts, which words differ. Pure; no widget.

tray ──► columns A … D ─┐
job  ──► texts          ├─► grid(…)   what the component `answers` draws
pieces(reference, text) ┘
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

import numpy as np

from engine.counted import counted
from engine.jobs.executor import Status
from engine.recipe import Names, Recipe, resolve, unmerged
from engine.scoring.data import Row
from studio.points.recipes import parameters_text, titled_as
from studio.points.view import Axis, Measured

LETTERS = "ABCD"
PROMPTS = 16
"""Prompts answered at once, at most."""
DEFAULT_ROWS = 3
OFFERED = 60
"""Points of the front offered for the tray, at most."""
LINES = 5
"""Lines kept free for an answer, at most."""

Kind = Literal["same", "new", "gone"]
Piece = tuple[Kind, str]


def short(place: int, recipe: Recipe, name: str = "") -> str:
    """A column in a sentence: by the name that a user gave the point, else a model by its own, a
    mixture by its letter."""
    if name:
        return name
    return LETTERS[place] if recipe.unmerged is None else recipe.unmerged


def title(place: int, recipe: Recipe, name: str = "") -> str:
    """A column in a list: letter, the name that a user gave the point, and recipe."""
    return f"{LETTERS[place]} · {titled_as(name, recipe)}"


def head_lines(recipe: Recipe, name: str = "") -> list[str]:
    """What a column's head says below its letter: the name that a user gave the point, else the
    model or the method; then method and coefficients, then parameters that are not the default."""
    if recipe.unmerged is not None:
        return [name, str(recipe)] if name else [str(recipe)]
    values = ", ".join(f"{each} {value:.4g}" for each, value in recipe.coefficients.items())
    lines = [name, f"{recipe.method}: {values}"] if name else [recipe.method, values]
    return [each for each in (*lines, parameters_text(recipe)) if each]


def model_recipe(name: str, names: Names) -> Recipe:
    """An unmerged model of the family."""
    return resolve(unmerged(name), names)


def offered(measured: Measured, over: Sequence[Axis], names: Names) -> list[Recipe]:
    """What can be added: the models, then the front over these objectives from end to end
    of the first; of a front longer than `OFFERED` as many, evenly."""
    models = [model_recipe(each, names) for each in names.models]
    rows = np.flatnonzero(measured.front_of(over) & ~measured.singles)
    rows = rows[np.argsort(measured.mean[rows, measured.column(over[0].name)], kind="stable")]
    if len(rows) > OFFERED:
        rows = rows[np.linspace(0, len(rows) - 1, OFFERED).round().astype(int)]
    return models + [measured.recipes[row] for row in rows.tolist()]


# prompts


@dataclass(frozen=True)
class Settings:
    """The decoding settings, apart from recipe and prompts."""

    chat: bool = False
    max_new_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def payload(self) -> dict[str, Any]:
        return dict(vars(self))


def prompt_of(row: Row) -> str | list[dict[str, Any]]:
    """A row's prompt, in the form that a job takes."""
    return [dict(each) for each in row.messages] if row.messages is not None else row.prompt or ""


def prompt_text(prompt: str | Sequence[Mapping[str, Any]]) -> str:
    """A prompt as it is shown: a conversation line by line."""
    if isinstance(prompt, str):
        return prompt
    return "\n".join(f"{each['role']}: {each['content']}" for each in prompt)


def typed_prompts(text: str, whole: bool) -> list[str]:
    """Prompts typed by hand: a blank line parts two, line ends within one are kept; or all of it as
    one."""
    if whole:
        return [text] if text.strip() else []
    parts = re.split(r"\n(?:[^\S\n]*\n)+", text.replace("\r\n", "\n"))
    return [part.strip() for part in parts if part.strip()]


# differences


def _words(text: str) -> list[str]:
    """Words with the whitespace behind them; whitespace at the start is one of them."""
    return re.findall(r"^\s+|\S+\s*", text)


def pieces(reference: str, text: str) -> list[Piece]:
    """A text word by word against a reference: what both have, what is new in the text, and what is
    gone from the reference. White space is kept and never a difference of its own.

    Joined without "gone" the pieces are the text.
    """
    old, new = _words(reference), _words(text)
    matcher = SequenceMatcher(
        None, [each.strip() for each in old], [each.strip() for each in new], autojunk=False
    )
    found: list[Piece] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            found.append(("same", "".join(new[j1:j2])))
            continue
        if i2 > i1:
            found.append(("gone", "".join(old[i1:i2])))
        if j2 > j1:
            found.append(("new", "".join(new[j1:j2])))
    return [each for piece in found for each in _apart(piece)]


def _apart(piece: Piece) -> list[Piece]:
    """Marks end with the word: the whitespace behind it is not marked."""
    kind, text = piece
    word = text.rstrip()
    if kind == "same" or word == text:
        return [piece]
    space: Piece = ("same", text[len(word) :] if kind == "new" else " ")
    return [(kind, word), space] if word else [space]


# the grid


@dataclass(frozen=True)
class Asked:
    """What a job "compare" was asked, from its payload."""

    recipes: tuple[Mapping[str, Any], ...]
    prompts: tuple[Any, ...]
    settings: Settings

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Asked:
        names = vars(Settings())
        settings = Settings(**{name: payload[name] for name in names if name in payload})
        return cls(tuple(payload["recipes"]), tuple(payload["prompts"]), settings)

    def column(self, recipe: Recipe) -> int | None:
        """Where the recipe's answers are; None if it was not asked."""
        wanted = recipe.as_dict()
        return next((n for n, each in enumerate(self.recipes) if each == wanted), None)


def column_states(status: Status, result: Mapping[str, Any] | None, columns: int) -> list[str]:
    """Each column in words.

    Args:
        result: of the job; None while it runs and where it failed.
    """
    said = list(status.progress.get("columns") or ["waiting"] * columns)
    errors: dict[int, str] = {int(n): e for n, e in (status.progress.get("errors") or {}).items()}
    for place, column in enumerate(result["columns"] if result else ()):
        said[place] = "failed" if column["error"] else "done"
        if column["error"]:
            errors[place] = column["error"]
    stopped = status.state == "failed"
    found = []
    for place, each in enumerate(said):
        if each == "failed":
            found.append(f"failed: {errors.get(place, 'no reason was given')}")
        else:
            found.append("stopped" if stopped and each != "done" else each)
    return found


def notes(result: Mapping[str, Any] | None, settings: Settings) -> dict[tuple[int, int], str]:
    """(column, prompt) -> what there is to say under an answer."""
    found = {}
    for column, each in enumerate(result["columns"] if result else ()):
        for row, output in enumerate(each["outputs"]):
            count = len(output["token_ids"])
            text = counted(count, "token")
            if output["ended"] == "length":
                text = f"cut after {counted(settings.max_new_tokens, 'token')}"
            found[column, row] = text + _strengths_text(output.get("strengths", {}))
    return found


def _strengths_text(strengths: Mapping[str, Sequence[float]]) -> str:
    """The mean and the range of what was chosen token by token; nothing where nothing was."""
    said = [
        f"{name} {sum(each) / len(each):.2f} ({min(each):g} to {max(each):g})"
        for name, each in strengths.items()
        if each
    ]
    return f" · mean strength: {', '.join(said)}" if said else ""


def lines(settings: Settings, columns: int) -> int:
    """Lines kept free for an answer, so that nothing moves while it grows: four characters a token,
    150 characters over the whole width."""
    width = 150 / max(1, columns)
    return max(2, min(LINES, math.ceil(4 * settings.max_new_tokens / width)))


def _head(column: int, names: Sequence[str]) -> str:
    """A column's letter, and the name that a user gave its point."""
    return " · ".join([LETTERS[column], *(each for each in names[column : column + 1] if each)])


def grid(
    tray: Sequence[Recipe],
    asked: Asked,
    status: Status,
    result: Mapping[str, Any] | None,
    against: Recipe | None = None,
    names: Sequence[str] = (),
) -> dict[str, Any]:
    """What the component draws: {"heads": [[letter, state]], "rows": [{"prompt", "cells":
    [{"pieces", "note"}]}], "lines", "writing"}.

    Args:
        against: differences are marked against this column once all is written; None marks none.
        names: that a user gave the columns' points; "" for none.
    """
    places = [asked.column(each) for each in tray]
    states = column_states(status, result, len(asked.recipes))
    heads = [
        [_head(n, names), "not asked yet: press Answer" if place is None else states[place]]
        for n, place in enumerate(places)
    ]
    reference = asked.column(against) if against is not None and status.over else None
    said = notes(result, asked.settings)
    rows = []
    for row, prompt in enumerate(asked.prompts):
        texts = [status.texts.get(n * len(asked.prompts) + row) for n in range(len(asked.recipes))]
        cells = []
        for place in places:
            text = None if place is None else texts[place]
            known = None if reference is None else texts[reference]
            found: list[Piece] = [("same", text)] if text else []
            if text is not None and known is not None and place != reference:
                found = pieces(known, text)
            note = "" if place is None else said.get((place, row), "")
            if text == "" and note:
                note = f"empty: {note}"
            cells.append({"pieces": found, "note": note})
        rows.append({"prompt": prompt_text(prompt), "cells": cells})
    return {
        "heads": heads,
        "rows": rows,
        "lines": lines(asked.settings, len(tray)),
        "writing": not status.over,
    }
