"""Prunes merged models of one family, and remembers what a move of the ratio need not do again.

    merge ──► every row once through the merged model ──► norms ──► zeros ──► written in place

The norms depend on the merge and on the rows, so new coefficients need all rows again; a new ratio
alone takes the norms of before, which are the very same numbers. Gradients are as large as the
weights and are not kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor

from engine.decoding.inputs import Fused, Tick
from engine.errors import bad
from engine.merging.merged_model import MergedModel
from engine.prune import Prune
from engine.pruning.experts import unplaced
from engine.pruning.layers import Layer, linear_layers
from engine.pruning.scores import Halves, by_activation, by_gradient, gradients, norms
from engine.pruning.zeros import Gathered, Zeros
from engine.recipe import Recipe

if TYPE_CHECKING:
    from engine.family.text import Text

T = TypeVar("T")

Texts = Callable[["Text"], Sequence[Halves]]
"""Rows as token ids, once there is a tokenizer."""

_KEPT = 4
"""Merges whose norms stay, and recipes whose zeros do: one bit a weight."""


class Pruner:
    """Of one family."""

    def __init__(self) -> None:
        self._texts: dict[str, Texts] = {}
        self._norms: OrderedDict[str, dict[str, Tensor]] = OrderedDict()
        self._zeros: OrderedDict[str, Zeros] = OrderedDict()

    def learn(self, prune: Prune, texts: Texts) -> None:
        """Say what the rows of a recipe's pruning are; once before it is composed."""
        self._texts[prune.rows] = texts

    def zeros(self, recipe: Recipe) -> Zeros | None:
        """Of a recipe that was composed a short while ago."""
        return self._zeros.get(recipe.key)

    def find(
        self, recipe: Recipe, merged: Fused, live: MergedModel, text: Text, tick: Tick
    ) -> Zeros:
        """The zeros of a recipe, whose merge is live and not yet pruned.

        Raises:
            BadInput: its rows are not known, or cannot be read; experts of the model that cannot
                be pruned.
            ParetoscopeError: what the model makes of them is not finite.
        """
        prune = recipe.prune
        assert prune is not None
        known = self._zeros.get(recipe.key)
        if known is None:
            known = self._found(recipe, prune, merged, live, text, tick)
            if not known.of:
                what = "the rows reach no linear layer of this model that can be pruned"
                raise bad("prune", what, "Leave it out.")
            _keep(self._zeros, recipe.key, known)
        return known

    def _found(
        self,
        recipe: Recipe,
        prune: Prune,
        merged: Fused,
        live: MergedModel,
        text: Text,
        tick: Tick,
    ) -> Zeros:
        gathered = Gathered(live.parts)
        for layer in linear_layers(live.module):
            if layer.experts is not None and not gathered.knows(layer.name):
                raise unplaced(layer.name)
        if prune.variant == "gradient":

            def take(layer: Layer, gradient: Tensor) -> None:
                if gathered.knows(layer.name):
                    gathered.add(layer.name, by_gradient(layer, gradient, prune.ratio))

            gradients(merged, self._rows(prune, text), tick, take)
            return gathered.done()
        key = replace(recipe, prune=replace(prune, ratio=0.0)).key
        found = self._norms.get(key)
        if found is None:
            found = norms(merged, self._rows(prune, text), tick)
            _keep(self._norms, key, found)
        for layer in linear_layers(live.module):
            if layer.name in found and gathered.knows(layer.name):
                gathered.add(layer.name, by_activation(layer, found[layer.name], prune.ratio))
                tick()
        return gathered.done()

    def _rows(self, prune: Prune, text: Text) -> Sequence[Halves]:
        if prune.rows not in self._texts:
            what = f"the rows of {prune.objective} are not known here"
            raise bad("prune", what, "Evaluate or export the recipe in its study.")
        return self._texts[prune.rows](text)


def _keep(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    while len(kept) > _KEPT:
        kept.popitem(last=False)
