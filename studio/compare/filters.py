"""Filters of examples: all, those where columns differ, where one is right and another wrong, or
what a mixture kept, lost or won. Pure; no widget.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from studio.compare.comparing import LETTERS
from studio.compare.outcomes import label
from studio.compare.slices import Examples

EVERY, DIFFER = "every example", "columns differ"


@dataclass(frozen=True)
class Filter:
    """One choice.

    Attributes:
        label: the same while columns and objective are: a choice is known by it.
        rows: int [k], places in the explore split.
    """

    label: str
    rows: np.ndarray

    @property
    def text(self) -> str:
        """With how many there are."""
        return f"{self.label} ({len(self.rows)})"


def filters(examples: Examples) -> list[Filter]:
    """Every choice for these columns, the first the one to start with: where columns differ, where
    they do anywhere."""
    columns = examples.columns
    every = Filter(EVERY, np.arange(len(examples)))
    found = []
    if len(columns) > 1:
        found.append(Filter(DIFFER, np.flatnonzero(examples.differing)))
    found.append(every)
    if columns and examples.proportion:
        right = examples.right[columns]
        some = ("all right", "all wrong") if len(columns) > 1 else ("right", "wrong")
        found.append(Filter(some[0], np.flatnonzero((right == 1).all(axis=0))))
        found.append(Filter(some[1], np.flatnonzero((right == 0).all(axis=0))))
    pattern = "{} right, {} wrong" if examples.proportion else "{} better than {}"
    for one, other in permutations(columns, 2):
        said = pattern.format(examples.heading(one), examples.heading(other))
        found.append(Filter(said, np.flatnonzero(examples.better(one, other))))
    for column, became in examples.outcomes.items():
        for kind, rows in became.rows.items():
            found.append(Filter(label(LETTERS[column], kind), rows))
    if found[0].label == DIFFER and not len(found[0].rows):
        found[:2] = [every, found[0]]
    return found


def first_rows(examples: Examples, count: int) -> list[int]:
    """The examples to begin with: the first where columns differ, then the first of all."""
    differing = np.flatnonzero(examples.differing).tolist()
    rest = (row for row in range(len(examples)) if not examples.differing[row])
    return [*differing, *rest][:count] if len(differing) < count else differing[:count]
