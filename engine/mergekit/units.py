"""Tensors that mergekit merges as one: a mixture's experts, which files store one by one.

    stored                                              merged as
    …block_sparse_moe.experts.0.w1.weight   [m, h]  ┐
    …block_sparse_moe.experts.0.w3.weight   [m, h]  ├─  …mlp.experts.gate_up_proj [n, 2 m, h]
    …block_sparse_moe.experts.7.w3.weight   [m, h]  ┘

mergekit goes by the module that transformers makes of a file, so that a share of a tensor's
elements, an angle between tensors or a filter speaks of all experts at once. Merged like that, each
part is written under the name that the base's file has for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.family.compatibility import Family
from engine.family.depth import layers_of
from engine.mergekit.architectures import ONE_BY_ONE
from engine.mergekit.plan import Step, layer_of

if TYPE_CHECKING:
    from engine.family.placement import Part

_EXPERT = re.compile(r"\.experts\.\d+\.")


@dataclass(frozen=True, eq=False)
class Unit:
    """Stored tensors that are merged as one.

    Attributes:
        shape: of the whole.
        parts: stored name -> its place in the whole.
    """

    shape: tuple[int, ...]
    parts: Mapping[str, Part]

    def written(self, step: Step) -> dict[str, Part]:
        """Name in the result -> place in the whole, of a step whose source this is."""
        return {written_as(stored, step): part for stored, part in self.parts.items()}


def written_as(stored: str, step: Step) -> str:
    """The name that a stored tensor has in the layer that a step makes."""
    mine, made = layer_of(stored), layer_of(step.name)
    return stored if mine is None or made is None else mine.at(made.number)


def stores_experts_apart(family: Family) -> bool:
    """Whether the files store a mixture's experts one by one, which mergekit merges as one."""
    base = family.base
    listed = base.kind == "full" and base.architecture not in ONE_BY_ONE
    return listed and any(_EXPERT.search(name) for name in family.tensors)


def units_of(family: Family) -> dict[str, Unit]:
    """Name in transformers' module -> unit, of a family whose files store experts one by one."""
    if not stores_experts_apart(family):
        return {}
    from engine.family.placed import empty_module, placement_of

    whole = [each for each in family.models.values() if each.kind == "full"]
    deepest = max(whole, key=lambda each: layers_of(family.tensors_of(each)))  # the first of equals
    module = empty_module(deepest)
    shapes = {name: tuple(each.shape) for name, each in module.state_dict().items()}
    parts: dict[str, dict[str, Part]] = {}
    for name, part in placement_of(module, deepest).parts.items():
        same = name == part.target and not part.cuts
        if name in family.tensors and name not in family.vocabulary_tensors and not same:
            parts.setdefault(part.target, {})[name] = part
    return {target: Unit(shapes[target], each) for target, each in parts.items()}
