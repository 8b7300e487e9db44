"""What an evaluation needs beside the model that it scores: others of its family, and it moved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from engine.compose import Composer
from engine.composed import ComposedModel
from engine.decoding.inputs import Tick
from engine.errors import unknown
from engine.merging.basis import Basis
from engine.merging.moved import Moved, one_model
from engine.recipe import find_method
from engine.scoring.beside import Unmoved


@dataclass(frozen=True)
class Neighbours:
    """Others of a composed model; `engine.scoring.beside.Others`.

    Args:
        scored: what is scored.
    """

    composer: Composer
    scored: ComposedModel
    tick: Tick

    @property
    def base_parameters(self) -> int:
        """Parameters of the family's base."""
        return self.composer.family.base.parameters

    def model(self, name: str) -> ComposedModel:
        """A model of the family as it is; raises `BadInput` with near matches."""
        names = self.composer.family.names.models
        if name not in names:
            raise unknown("option model", "model of the family", name, names)
        return self.composer.module(name)

    @contextmanager
    def moved(self, expert: str, step: float) -> Iterator[ComposedModel]:
        """The scored model with its weights moved by `step` towards an expert's; see `Moved`.

        Raises:
            BadInput: there is no such expert.
            Unmoved: there are no weights of the base's shape to move.
        """
        experts = tuple(self.composer.family.experts)
        if expert not in experts:
            raise unknown("option expert", "expert of the family", expert, experts)
        basis, composer = self._basis(), self.composer
        module = composer.merged.module
        with composer.ticking(self.tick):
            composer.live = None
            composer.merged.write(Moved(basis, expert, step), self.scored.coefficients, self.tick)
        try:
            yield replace(
                self.scored, modules=(module,), mixture=None, vocabulary=None, rows=None, cost=1.0,
                own={}, shares=(),
            )  # fmt: skip
        finally:
            composer.live = None
            composer.restore(self.scored, self.tick)

    def _basis(self) -> Basis:
        recipe, composer = self.scored.recipe, self.composer
        alone = recipe.unmerged
        if alone == "target":
            raise Unmoved(
                "the target has other weights than the experts, so that there is no way from one to"
                " the other: tamper moves the base, experts and merges"
            )
        if alone is not None:
            return one_model(composer.tensors, alone)
        if find_method(recipe.method).space == "logit":
            raise Unmoved(
                f"{recipe.method} mixes logits, and there are no merged weights to move: tamper "
                "measures methods of weight space"
            )
        return composer.scored_basis(recipe)
