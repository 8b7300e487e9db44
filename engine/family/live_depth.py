"""The layers of a live module, whose tensors transformers may call other than the files do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.family.compatibility import Family
from engine.family.depth import Depth
from engine.family.placement import state_of
from engine.family.unmerged import tower_names

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def live_depth(family: Family, module: PreTrainedModel) -> Depth:
    """The depth of a family by the names of its module's tensors."""
    depth = family.depth
    return replace(depth, inputs=depth.inputs | tower_names(family.base.config, state_of(module)))
