"""Where the tensors of a family lie in its depth: which layer, which band of layers.

    model.embed_tokens.weight            outside the layers: an input, the first band
    model.layers.7.mlp.up_proj.weight    layer 7
    model.norm.weight, lm_head.weight    outside the layers: the last band

Of what lies outside the layers the embeddings, what is done to them before the first layer, and
other towers (whose layers are not counted) belong to the first band, and all else, the final norm
and the output projection among it, to the last. A tied output projection is the embedding and goes
with it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from engine.bands import band_at, band_of, bands_of, plain
from engine.family.ties import HEADS

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks?|layer)\.(\d+)\.")
# LFM's embedding_norm stands after the last layer
_INPUT = re.compile(r"(?:^|[._])(?:emb(?!edding_norm)\w*|wte|wpe|project_in|per_layer\w*)")


def layer_of(tensor: str) -> int | None:
    """The layer that a tensor belongs to, by its name; None outside the layers."""
    match = _LAYER.search(tensor)
    return int(match[1]) if match else None


def layers_of(tensors: Iterable[str]) -> int:
    """How many layers tensors are in: one more than the last; 0 where all are outside."""
    return max((layer + 1 for each in tensors if (layer := layer_of(each)) is not None), default=0)


@dataclass(frozen=True)
class Depth:
    """The layers of a family.

    Attributes:
        layers: how many; 0 if they cannot be told.
        why: why they cannot be told; empty if they can.
        inputs: tensors that belong to the first band, whatever their name says.
    """

    layers: int
    why: str = ""
    inputs: frozenset[str] = frozenset()

    def band(self, tensor: str, groups: int) -> int:
        """The band of a tensor, from 1."""
        if groups == 1 or tensor in self.inputs:
            return 1
        layer = layer_of(tensor)
        if layer is not None:
            return band_at(min(layer, self.layers - 1), self.layers, groups)
        return 1 if _INPUT.search(tensor) and not HEADS.search(tensor) else groups

    def at(self, coefficients: Mapping[str, float], tensor: str) -> Mapping[str, float]:
        """The coefficients that count at a tensor, by their plain names."""
        groups = bands_of(coefficients)
        if groups == 1:
            return coefficients
        band = self.band(tensor, groups)
        return {plain(name): value for name, value in coefficients.items() if band_of(name) == band}


NOT_LOOKED = Depth(0, "nobody has looked")
"""Where plain coefficients alone are used."""


def depth_of(tensors: Iterable[str], inputs: Collection[str] = ()) -> Depth:
    """The layers that tensors are in, by their names.

    Args:
        inputs: those of other towers, and the embedding.
    """
    return _depth_of(tuple(tensors), frozenset(inputs))


@lru_cache(maxsize=16)
def _depth_of(tensors: tuple[str, ...], inputs: frozenset[str]) -> Depth:
    stacks: dict[str, int] = {}
    for name in tensors:
        match = None if name in inputs else _LAYER.search(name)
        if match:
            stack = name[: match.start(1) - 1]
            stacks[stack] = max(stacks.get(stack, 0), int(match[1]) + 1)
    if not stacks:
        return Depth(0, "no name of a tensor says which layer it is in", inputs)
    if len(stacks) > 1:
        first, second = sorted(stacks)[:2]
        return Depth(0, f"it has several stacks of layers ({first}, {second})", inputs)
    return Depth(next(iter(stacks.values())), "", inputs)
