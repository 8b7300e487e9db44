"""Prompts as the rows that a module reads: padded on the left, with positions and masks.

    columns      0 ........ width | width + 1 ...
    row 0        · · · p p p p p  | n n n           · padding, p the prompt, n what came after
    row 1        p p p p p p p p  | n n n

Modules that read the same prompts share one. What comes after the prompts is the same for all.
Texts of different lengths may be fed at once behind them: the columns that a shorter one leaves
empty count as padding.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 256
"""Columns by which the tables of positions and of padding grow."""


def positions(pads: Tensor, columns: int) -> Tensor:
    """int64 [rows, columns]: 0 for a row's first token and the padding before it, then 1, 2, …"""
    return (torch.arange(columns, device=pads.device) - pads[:, None]).clamp_(min=0)


class Reading:
    """Rows of prompts, and how far they are read.

    Args:
        width: columns that they are padded to.

    Attributes:
        prompts: int64 [rows, width].
        pads: int64 [rows], columns of padding.
        padded: whether there is any.
        column: columns fed so far.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], width: int, device: torch.device) -> None:
        padded = [[0] * (width - len(ids)) + list(ids) for ids in prompts]
        self.width = width
        self.prompts = torch.tensor(padded, device=device)
        self.pads = torch.tensor([width - len(ids) for ids in prompts], device=device)
        self.padded = any(len(ids) < width for ids in prompts)
        self.column = 0
        self._gap: tuple[int, Tensor] | None = None
        self._reserve(width)

    def _reserve(self, columns: int) -> None:
        columns += BLOCK
        self._positions = positions(self.pads, columns)
        places = torch.arange(columns, device=self.pads.device)
        self._real = places >= self.pads[:, None]
        if self._gap is not None:
            stop, counts = self._gap
            self._positions -= torch.where(places >= stop, counts[:, None], 0)
            self._real &= (places >= stop) | (places < stop - counts[:, None])

    def leave_out(self, counts: Sequence[int]) -> None:
        """The last so many columns of each row that were fed hold nothing; once, and no more than
        were fed behind the prompts."""
        if any(counts):
            self.padded = True
            self._gap = self.column, torch.tensor(counts, device=self.pads.device)
            self._reserve(self.column)

    def advance(self, columns: int) -> None:
        """So many columns more are to be fed."""
        self.column += columns
        if self.column > self._positions.shape[1]:
            self._reserve(self.column)

    @property
    def positions(self) -> Tensor:
        """int64 [rows, column]."""
        return self._positions[:, : self.column]

    @property
    def real(self) -> Tensor | None:
        """bool [rows, column]: false where there is padding; None if there is none."""
        return self._real[:, : self.column] if self.padded else None

    def taken(self, rows: Tensor) -> Reading:
        """These rows (repeats allowed), in this order; this one stays as it is."""
        other = copy.copy(self)
        other.prompts = self.prompts.index_select(0, rows)
        other.pads = self.pads.index_select(0, rows)
        other._positions = self._positions.index_select(0, rows)
        other._real = self._real.index_select(0, rows)
        if self._gap is not None:
            other._gap = self._gap[0], self._gap[1].index_select(0, rows)
        return other
