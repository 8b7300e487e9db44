"""Recipe → composed model: the only entry to `engine.merging` and `engine.decoding`.

    weight space   basis (cached by structural parameters) ─► one live module, rewritten in place
    LoRA only      task arithmetic over adapters ─► base with scaled adapters, nothing merged
    logit space    several modules as they are ─► a mixture of their logits at every step

A composed model of weight space is a view of the live module: composing another recipe makes it
stale, `Composer.restore` writes it back, always from θ0 and therefore bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from engine.composed import ComposedModel
from engine.decoding.fed import feed_as
from engine.decoding.feeding import PLAIN
from engine.decoding.fusion import Mixture
from engine.decoding.opening import feedings
from engine.decoding.prefixes import Prefixes
from engine.decoding.projection import logit_rows
from engine.family.compatibility import Family
from engine.family.device import pick_device, pick_dtype
from engine.family.live_depth import live_depth
from engine.family.loading import load_module
from engine.family.memory import extra_elements, running_elements
from engine.family.text import Text
from engine.family.texts import Texts
from engine.merging.adapters import AdapterModel, beside, runs_unmerged
from engine.merging.bases import Bases
from engine.merging.basis import Basis, Tensors, nothing
from engine.merging.merged_model import MergedModel, resize_rows
from engine.merging.peft_layers import attach
from engine.merging.stacked import NotByRow
from engine.numerics import numerics
from engine.pruning.pruner import Pruner
from engine.pruning.zeros import Pruned, Zeros
from engine.recipe import Recipe, find_method, unmerged

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from engine.family.placement import Placement


class Composer:
    """Composes recipes on one family, on one device.

    Args:
        family: checked for compatibility.
        device: "auto", "cpu" or "cuda".
        compute_dtype: None for the default of the device.
        workspace: where adapters that peft merged are kept; None for as long as this lives. What
            was tried of a class is remembered there, or in the default one.
    """

    def __init__(
        self,
        family: Family,
        *,
        device: str = "auto",
        compute_dtype: str | None = None,
        workspace: Path | None = None,
    ) -> None:
        self.family = family
        self._workspace = workspace
        self.device = pick_device(device)
        self.dtype = pick_dtype(compute_dtype, self.device, family)
        self._feedings = feedings(family, workspace)
        plain = all(each == PLAIN for each in self._feedings.values())
        several = sum(each.kind == "lora" for each in family.experts.values()) > 1
        self.numerics = numerics(self.device.type, str(self.dtype), plain=plain, stacked=several)
        self.live: ComposedModel | None = None
        self._tick: Callable[[], None] = nothing
        self._modules: dict[str, PreTrainedModel] = {}
        self._texts = Texts(family)
        self._merged: MergedModel | None = None
        self._adapters: AdapterModel | None = None
        self.pruner, self.prefixes = Pruner(), Prefixes()

    # ---- doors -------------------------------------------------------------------------------

    def compose(self, recipe: Recipe, tick: Callable[[], None] = nothing) -> ComposedModel:
        """The composed model of a resolved recipe.

        Args:
            tick: called at every tensor or chunk; may raise `Cancelled`, and may compose and
                restore other models before it returns.

        Raises:
            BadInput: merged weights overflow; a model lacks rows that the tokenizer needs.
        """
        method = find_method(recipe.method)
        with self.ticking(tick):
            if method.space == "logit":
                mixture = method.build(
                    recipe.coefficients, self.family.names, **dict(recipe.parameters)
                )
                return self._fused(recipe, mixture)
            coefficients = _scaled(recipe)
            unmerged = runs_unmerged(recipe, self.family)
            module = self.adapters.module if unmerged else self.merged.module
            adapters = self.adapters.parameters(coefficients) if unmerged else 0
            size = self.family.base.parameters + (adapters or extra_elements(self.family))
            model = ComposedModel(
                recipe=recipe, modules=(module,), mixture=None, vocabulary=None, rows=None,
                cost=size / self.family.base.parameters, text=self.text, coefficients=coefficients,
            )  # fmt: skip
            self._write(model)
            return model

    def compose_rows(
        self, recipes: Sequence[Recipe], tick: Callable[[], None] = nothing
    ) -> ComposedModel:
        """One model for several recipes that add LoRA experts: each row of a batch is of the recipe
        that `route` says.

        Raises:
            NotByRow: the base's class or a layer of its does not allow it; at the first forward
                too, where a layer is not given rows.
        """
        if self._feedings["base"] != PLAIN or not self.adapters.by_row:
            raise NotByRow("adapters of this base run for a whole batch")
        mixtures = tuple(map(_scaled, recipes))
        first = self.compose(recipes[0], tick)
        model = replace(first, mixtures=mixtures, route=self.adapters.route)
        self.restore(model, tick)
        return model

    @contextmanager
    def ticking(self, tick: Callable[[], None]) -> Iterator[None]:
        """Call `tick` at every tensor or chunk that is read or written within."""
        previous, self._tick = self._tick, tick
        try:
            yield
        finally:
            self._tick = previous

    def module(self, name: str) -> ComposedModel:
        """One model of the family as it is: base, target or an expert."""
        return self.compose(unmerged(name), self._tick)

    def restore(self, model: ComposedModel | None, tick: Callable[[], None] | None = None) -> None:
        """Write the live weights of `model` again if another recipe was written since; nothing to
        do in logit space. `tick` as in `compose`."""
        if model is None or model is self.live:
            return
        if model.rewrite is not None:
            model.rewrite()
        elif find_method(model.recipe.method).space != "logit":
            with self.ticking(tick or self._tick):
                self._write(model)

    def basis(self, recipe: Recipe, *, keep: bool = True) -> Basis:
        """The basis of a weight-space recipe; computed once per structural parameters.

        Args:
            keep: hold what a slider move needs in memory; False recomputes it at every pass.
        """
        return self._bases.of(recipe, keep=keep)

    @property
    def preparing(self) -> str:
        """What is being prepared and how far it is, in words; empty where nothing is."""
        return self._bases.preparing

    def scored_basis(self, recipe: Recipe) -> Basis:
        """The basis that writes what `compose` of this recipe makes, pruning included."""
        if recipe.prune is None:
            return self.basis(recipe)
        return Pruned(self.basis(recipe), self.zeros(recipe))

    def zeros(self, recipe: Recipe) -> Zeros:
        """What a recipe's pruning zeroes; composes it where that is not known any more."""
        if self.pruner.zeros(recipe) is None:
            self.compose(recipe, self._tick)
        found = self.pruner.zeros(recipe)
        assert found is not None
        return found

    # ---- parts, made when first needed --------------------------------------------------------

    @property
    def text(self) -> Text:
        """The family's tokenizer; raises `BadInput` if transformers cannot load it."""
        return self._texts.plain

    @cached_property
    def tensors(self) -> Tensors:
        """The family's tensors on disk."""
        return Tensors(self.family, self.device, lambda: self._tick(), self._workspace)

    @cached_property
    def _bases(self) -> Bases:
        return Bases(self.tensors, self._workspace)

    @property
    def merged(self) -> MergedModel:
        """The live module."""
        if self._merged is None:
            module, placement = self._load("base", mapped=True)
            resize_rows(module, self.family.merged_rows)
            self._merged = MergedModel(module, placement)
        return self._merged

    @property
    def adapters(self) -> AdapterModel:
        """The base with every LoRA expert loaded beside it."""
        if self._adapters is None:
            module = self._beside_base()
            lora = {k: v for k, v in self.family.experts.items() if v.kind == "lora"}
            self._adapters = AdapterModel(module, lora, live_depth(self.family, module))
        return self._adapters

    # ---- inside ------------------------------------------------------------------------------

    def _write(self, model: ComposedModel) -> None:
        whole = replace(model, recipe=replace(model.recipe, prune=None))
        pruned = model.recipe.prune is not None
        # before the first tensor: a tick may park this write and restore it
        self.live = whole if pruned else model
        try:
            if self._adapters is not None and model.modules[0] is self._adapters.module:
                if model.mixtures:
                    self._adapters.mix_rows(model.mixtures)
                else:
                    self._adapters.mix(model.coefficients)
            else:
                basis, dtype = self.basis(model.recipe), model.rounded_to
                self.merged.write(basis, model.coefficients, self._tick, dtype)
            if pruned:
                found = self.pruner.find(model.recipe, whole, self.merged, self.text, self._tick)
                self.live = model
                found.zero_all(self.merged.places)
        except BaseException:
            self.live = None
            raise

    def _load(self, name: str, mapped: bool = False) -> tuple[PreTrainedModel, Placement]:
        """A full checkpoint of the family, fed as its class is."""
        own = self.family.models[name]
        module, placement = load_module(own, self.device, self.dtype, mapped=mapped)
        feed_as(module, self._feedings[name])
        return module, placement

    def _beside_base(self) -> PreTrainedModel:
        """The base once more, over the same tensors."""
        module = beside(self._plain("base"))
        feed_as(module, self._feedings["base"])
        return module

    def _plain(self, name: str) -> PreTrainedModel:
        """A model of the family by itself, loaded once."""
        if name in self._modules:
            return self._modules[name]
        experts = self.family.experts
        if name in experts and experts[name].kind == "lora":
            alone = AdapterModel(self._beside_base(), {name: experts[name]})
            alone.mix({name: 1.0})
            module = alone.module
        elif name in experts and experts[name].is_adapter:
            module, _ = self._load("base")
            module = cast("PreTrainedModel", attach(module, experts[name]).base_model.model)
        else:
            module, _ = self._load(name)
        self._modules[name] = module
        self._tick()
        return module

    def _fused(self, recipe: Recipe, mixture: Mixture) -> ComposedModel:
        modules = tuple(self._plain(name) for name in mixture.models)
        counts = [running_elements(self.family.models[m], self._plain(m)) for m in mixture.models]
        alone = recipe.unmerged is not None
        text, own = self._texts.of_passes(mixture.passes)
        return ComposedModel(
            recipe=recipe,
            modules=modules,
            mixture=None if alone else mixture,
            vocabulary=None if alone else self.text.size,
            rows=None if alone else min(map(logit_rows, modules)),
            cost=math.fsum(counts) / self.family.base.parameters,
            text=text,
            own=own,
            shares=tuple(count / self.family.base.parameters for count in counts),
        )


def _scaled(recipe: Recipe) -> dict[str, float]:
    """A weight-space recipe's coefficients times its strength."""
    strength = float(recipe.parameters.get("strength", 1.0))
    return {name: value * strength for name, value in recipe.coefficients.items()}
