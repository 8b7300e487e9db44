"""A recipe as something that runs: modules, and how their logits are combined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.decoding.fusion import Mixture
from engine.family.text import Text
from engine.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel


@dataclass(eq=False)
class ComposedModel:
    """What a recipe runs as.

    Attributes:
        recipe: the resolved recipe.
        modules: transformers models in eval mode, in the mixture's order.
        mixture: how their logits are combined; None for one module whose logits stay untouched.
        vocabulary: ids from here on are masked after combining; None masks nothing.
        rows: logits of every module are cut to these common rows; None cuts nothing.
        cost: parameters run per generated token ÷ the base's, where every module runs at each.
        shares: of that, each module's, where there are several.
        text: the family's tokenizer, template and end tokens; of one model, with its own words.
        own: place of a module -> the same with the words that it reads instead.
        coefficients: of weight space, times the strength.
        rounded_to: what merged weights are rounded to; the checkpoint's dtype where None.
        mixtures: the coefficients of each recipe, where rows of a batch are of different ones.
        rewrite: writes its weights, where they are not what its recipe says.
        route: says which of the mixtures each row of the next forward is of; int64 [rows].
    """

    recipe: Recipe
    modules: tuple[PreTrainedModel, ...]
    mixture: Mixture | None
    vocabulary: int | None
    rows: int | None
    cost: float
    text: Text
    own: Mapping[int, Text] = field(default_factory=dict)
    coefficients: Mapping[str, float] = field(default_factory=dict)
    rounded_to: torch.dtype | None = None
    mixtures: tuple[Mapping[str, float], ...] = ()
    route: Callable[[Tensor], None] | None = None
    shares: tuple[float, ...] = ()
    rewrite: Callable[[], None] | None = None
