"""The points as a table: numeric columns, one row per point, no Python loop over all of them.

    id  name  star  note  front  front probability  method  parameters
    coefficient NAME …                              as the recipe says them
    measured                                        here, or shipped with the demo
    OBJECTIVE  OBJECTIVE stderr  … n  … low  … high     of each objective; low, high: 95 %

The same columns are shown and saved as CSV. Headers do not change with what is filtered, and those
of the objectives are their names, as `front --csv` reads them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cache.arrow import numbers, pa, texts
from engine.errors import shown
from engine.method import METHODS
from engine.recipe import Recipe
from studio.points.arrivals import coefficients, kinds
from studio.points.numbers import REASON
from studio.points.origin import WORDS, origins
from studio.points.recipes import parameters_text
from studio.points.remarks import Remark
from studio.points.view import Axis, Measured
from studio.shared import once

MOST = 25_000
"""Rows shown at most: the front and the latest points. A file has them all."""

MEASURED = "measured"
SURE = "front probability"
NO_SCORE = "no score"
OF_SCORE = ("stderr", "n", "low", "high")


@dataclass(frozen=True)
class Sought:
    """What the table is narrowed to.

    Attributes:
        methods: of any of these; of every if there are none.
        text: that the name, the note or the id of a point holds; any where it is empty.
        starred: whether those with a star alone are sought.
        mine: whether those alone that a user has dealt with (`Remark.mine`).
    """

    methods: frozenset[str] = frozenset()
    text: str = ""
    starred: bool = False
    mine: bool = False

    def __len__(self) -> int:
        """How many conditions there are."""
        return sum(map(bool, (self.methods, self.text, self.starred, self.mine)))


def methods_of(measured: Measured) -> list[str]:
    """The methods that points have, in the order in which they came."""
    return list(dict.fromkeys(each.method for each in kinds(measured)[1]))


def matching(measured: Measured, sought: Sought, remarks: Mapping[str, Remark]) -> np.ndarray:
    """bool [points]: which are sought."""
    found = np.ones(len(measured), dtype=bool)
    if sought.methods:
        codes, recipes = kinds(measured)
        found &= np.array([each.method in sought.methods for each in recipes], dtype=bool)[codes]
    if sought.starred:
        found &= _where(measured, (point for point, each in remarks.items() if each.star))
    if sought.mine:
        found &= _where(measured, (point for point, each in remarks.items() if each.mine))
    if sought.text:
        text = sought.text.casefold()
        said = {point: f"{each.name}\n{each.note}".casefold() for point, each in remarks.items()}
        ids = (point for point in measured.ids if text in point or text in said.get(point, ""))
        found &= _where(measured, ids)
    return found


def _where(measured: Measured, points: Iterable[str]) -> np.ndarray:
    """bool [points]: which are among these."""
    found = np.zeros(len(measured), dtype=bool)
    found[[measured.row_of[point] for point in points if point in measured.row_of]] = True
    return found


def in_order(front: np.ndarray, sought: np.ndarray, most: int | None = MOST) -> np.ndarray:
    """Rows of the points to list: the front first, then the latest.

    Args:
        front: bool [points].
        sought: bool [points], the others are left out.
    """
    first, rest = np.flatnonzero(front & sought), np.flatnonzero(~front & sought)[::-1]
    return np.concatenate([first, rest])[:most]


def header(objective: str, of: str) -> str:
    """The column of an objective's standard error, count or interval."""
    return f"{objective} {of}"


def coefficient(name: str) -> str:
    """The column of a coefficient; an expert may be called like an objective."""
    return f"coefficient {name}"


def columns(
    measured: Measured,
    axes: Sequence[Axis],
    front: np.ndarray,
    rows: np.ndarray,
    remarks: Mapping[str, Remark],
    *,
    certain: bool = True,
    modelled: bool = False,
    sure: np.ndarray | None = None,
) -> pa.Table:
    """The table of some rows.

    Args:
        front: bool [points].
        rows: int [k], in the order in which they are listed.
        certain: whether to say a standard error of 0 where the interval knows better: no example
            failed, which is not certainty.
        modelled: whether to say beside the method of an unmerged model which one it is: no slider
            says it.
        sure: float64 [points], probability of each to be on the front, NaN where it is not known;
            without it there is no such column.
    """
    codes, recipes = kinds(measured)
    kind = codes[rows]
    made = {
        "method": [_with_model(each) if modelled else each.method for each in recipes],
        "parameters": [parameters_text(each) for each in recipes],
    }
    known = {point: each for point, each in remarks.items() if point in measured.row_of}
    star = _where(measured, (point for point, each in known.items() if each.star))
    found: list[tuple[str, pa.Array]] = [
        ("id", _ids(measured).take(numbers(rows))),
        ("name", _few(measured, {point: each.name for point, each in known.items()}, rows)),
        ("star", _truths(star[rows])),
        ("note", _few(measured, {point: each.note for point, each in known.items()}, rows)),
        ("front", _truths(front[rows])),
    ]
    if sure is not None:
        found.append((SURE, _known(np.round(sure[rows], 4))))
    for name, words in made.items():
        place = {word: number for number, word in enumerate(dict.fromkeys(words))}
        which = np.array([place[word] for word in words], np.int32)
        each = pa.DictionaryArray.from_arrays(numbers(which[kind]), texts(list(place)))
        found.append((name, each))
    names, values = coefficients(measured)
    for name, column in zip(names, values[rows].T, strict=True):
        found.append((coefficient(name), _known(column)))
    where = pa.DictionaryArray.from_arrays(
        numbers(origins(measured, rows).astype(np.int32)), texts(WORDS)
    )
    found.append((MEASURED, where))
    if measured.reasons:
        said = {
            point: shown(why, most=REASON)
            for point, why in measured.reasons.items()
            if point in measured.row_of
        }
        found.append((NO_SCORE, _few(measured, said, rows)))
    own = len(found)
    for axis in axes:
        at = measured.column(axis.name)
        found.append((axis.name, _known(measured.mean[rows, at])))
        for of in OF_SCORE:
            score = getattr(measured, of)[rows, at]
            there = score > 0 if of == "n" else np.isfinite(score)
            if of == "stderr" and not certain:
                there &= (score > 0) | np.isnan(measured.low[rows, at])
            found.append((header(axis.name, of), numbers(score, there)))
    taken = {name for name, _ in found[own:]}
    headers = [_beside(taken, name) for name, _ in found[:own]]
    return pa.Table.from_arrays(
        [each for _, each in found], headers + [name for name, _ in found[own:]]
    )


def _with_model(recipe: Recipe) -> str:
    """A method's name, with the model where it takes one unmerged."""
    by = METHODS[recipe.method].unmerged
    return f"{recipe.method}: {recipe.parameters[by]}" if by else recipe.method


def _beside(taken: Collection[str], name: str) -> str:
    """A header that no objective has."""
    while name in taken:
        name = f"point {name}"
    return name


def _few(measured: Measured, said: Mapping[str, str], rows: np.ndarray) -> pa.Array:
    """A text of few points, empty of the others."""
    words = list(dict.fromkeys(["", *said.values()]))
    codes = np.zeros(len(measured), np.int32)
    for point, text in said.items():
        codes[measured.row_of[point]] = words.index(text)
    return pa.DictionaryArray.from_arrays(numbers(codes[rows]), texts(words))


def _ids(measured: Measured) -> pa.Array:
    found: pa.Array = once(measured, "ids", lambda: texts(measured.ids))
    return found


def _known(values: np.ndarray) -> pa.Array:
    return numbers(values, np.isfinite(values))


def _truths(values: np.ndarray) -> pa.Array:
    packed = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, packed])
