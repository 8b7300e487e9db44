"""The bases of a family's recipes, each computed once per method and structural parameters."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from engine.bands import groups_of
from engine.merging.banded import Banded
from engine.merging.basis import Basis, Computed, Tensors
from engine.recipe import Recipe, find_method

KEPT = 2
"""Structural settings whose basis stays in memory: the last ones used."""


class Bases:
    """Recipe -> its basis."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Any], Basis] = OrderedDict()

    def of(self, recipe: Recipe, tensors: Tensors, *, keep: bool = True) -> Basis:
        """The basis of a resolved recipe of weight space.

        Args:
            tensors: the family's; the same at every call.
            keep: hold what a slider move needs in memory; False recomputes it at every pass.
        """
        method = find_method(recipe.method)
        structural = method.structural(recipe.parameters)
        key = (method.name, tuple(sorted(structural.items())))
        if key not in self._kept:
            basis = method.build(tensors, **structural)
            if keep and isinstance(basis, Computed):
                basis = basis.materialise()
            self._kept[key] = basis
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        found = self._kept[key]
        return Banded(found) if groups_of(recipe.parameters) > 1 else found
