"""What an evaluation needs beside the model that it scores: others of its family, and it moved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from engine.compose import Composer
from engine.composed import ComposedModel
from engine.decoding.inputs import Tick
from engine.errors import unknown
from engine.merging.basis import Basis, nothing
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
        composer, scored = self.composer, self.scored
        basis, module = Moved(self._basis(), expert, step), composer.merged.module

        def write(tick: Tick = nothing) -> None:
            composer.live = model  # before the first tensor: a tick may park this and restore it
            try:
                with composer.ticking(tick):
                    composer.merged.write(basis, scored.coefficients, tick)
            except BaseException:
                composer.live = None
                raise

        model = replace(
            scored, modules=(module,), mixture=None, vocabulary=None, rows=None, cost=1.0, own={},
            shares=(), rewrite=write,
        )  # fmt: skip
        write(self.tick)
        try:
            yield model
        finally:
            if composer.live is model:
                composer.live = None
            composer.restore(scored, self.tick)

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
