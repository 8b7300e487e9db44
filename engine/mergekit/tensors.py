"""Tensors of the result of a mergekit YAML, one at a time, merged from files that are read lazily.

stored ──► dtype ──► the method, in that type ──► rows that only one model has ──► out_dtype
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor

from engine.errors import bad
from engine.family.compatibility import Family
from engine.family.headers import FLOAT_DTYPES
from engine.mergekit.method import Inputs, Merge, Part
from engine.mergekit.plan import Input, Step
from engine.mergekit.units import Unit
from engine.mergekit.vocabulary import Vocabulary
from engine.merging.basis import nothing
from engine.merging.chunk import Chunk
from engine.merging.readers import Readers

SEED = 0
"""Of the random masks; the YAML has none (mergekit takes it from its command line)."""


class Models:
    """The tensors of a YAML's models.

    Args:
        names: name in the YAML -> in the family.
        device: where the arithmetic runs.
        tick: called once per tensor that is read.
        fingerprints: gives those of the family's models; asked where a mask is drawn by lot.
        units: name -> stored tensors that are merged as one under it.
    """

    def __init__(
        self,
        family: Family,
        names: Mapping[str, str],
        device: torch.device | str = "cpu",
        tick: Callable[[], None] = nothing,
        fingerprints: Callable[[], Mapping[str, str]] | None = None,
        units: Mapping[str, Unit] = MappingProxyType({}),
    ) -> None:
        self.units = units
        self.family = family
        self.names = names
        self.device = torch.device(device)
        self.tick = tick
        self.readers = Readers(family, tick, None, fingerprints, check=True)

    def dtype(self, each: Input) -> torch.dtype:
        """The type that a tensor is stored in; that of the base for what an adapter changes."""
        unit = self.units.get(each.tensor)
        if unit is not None:
            return self.dtype(replace(each, tensor=next(iter(unit.parts))))
        model = self.family.models[self.names[each.model]]
        info = (self.family.base if model.is_adapter else model).tensors[each.tensor]
        return getattr(torch, FLOAT_DTYPES[info.dtype])

    def read(self, each: Input) -> Tensor:
        """A tensor as stored, of the base's shape: rows of the vocabulary that the model lacks are
        the base's, and those that the base lacks are left out."""
        unit = self.units.get(each.tensor)
        if unit is not None:
            whole = torch.empty(unit.shape, dtype=self.dtype(each), device=self.device)
            for stored, part in unit.parts.items():
                part.of(whole).copy_(self.read(replace(each, tensor=stored)))
            return whole
        self.tick()
        model = self.names[each.model]
        if self.family.models[model].kind == "lora":
            base = self.readers["base"].read(each.tensor)
            delta = self.readers[model].delta(each.tensor)
            return (base if delta is None else (base + delta).to(base.dtype)).to(self.device)
        plan = self.family.vocabulary_tensors.get(each.tensor)
        if plan is None or model == "base":
            return self.readers[model].read(each.tensor).to(self.device)
        found = self.readers[model].read(each.tensor, slice(0, plan.common))
        if len(found) < plan.common:
            missing = slice(len(found), plan.common)
            rows = self.readers["base"].read(each.tensor, missing).to(found.dtype)
            found = torch.cat([found, rows])
        return found.to(self.device)

    def stored(self, each: Input) -> Tensor:
        """A tensor with all the rows that the model stores."""
        if self.family.models[self.names[each.model]].is_adapter:
            return self.read(each)
        self.tick()
        return self.readers[self.names[each.model]].read(each.tensor).to(self.device)

    def copied(self, each: Input) -> Tensor:
        """A tensor that is not merged (an integer buffer), as stored."""
        model = self.names[each.model]
        held = each.tensor in self.family.models[model].tensors
        return self.readers[model if held else "base"].read(each.tensor)

    def extended(self, name: str, merged: Tensor) -> Tensor:
        """The merged rows, and after them those that the base lacks, each from the first model that
        has it."""
        plan = self.family.vocabulary_tensors.get(name)
        if plan is None or not plan.extra:
            return merged
        more = [
            self.readers[extra.model].read(name, slice(extra.start, extra.stop))
            for extra in plan.extra
        ]
        return torch.cat([merged, *(each.to(merged.device, merged.dtype) for each in more)])

    def lots(self, each: Input, shape: torch.Size) -> Tensor:
        """Uniform random numbers in [0, 1), by seed, model and tensor."""
        model = self.names[each.model]
        flat = torch.empty(1, shape.numel(), device=self.device)
        chunk = Chunk(each.tensor, 0, (model,), flat, self.readers.fingerprints)
        return chunk.lots(SEED)[0].view(shape)


def step_dtype(models: Models, step: Step, dtype: torch.dtype | None) -> torch.dtype:
    """The type that a tensor is merged in: the one given, else what holds all of its inputs."""
    if dtype is not None:
        return dtype
    found = models.dtype(step.source)
    for each in step.inputs:
        found = torch.promote_types(found, models.dtype(each))
    return found


def merged(
    models: Models,
    merge: Merge,
    step: Step,
    dtype: torch.dtype,
    vocabulary: Vocabulary | None = None,
) -> Tensor:
    """One tensor of the result, before it is turned into the type that is written.

    Args:
        dtype: what the inputs are turned into first; mergekit computes in it.
        vocabulary: puts the rows of embeddings and heads in another order.

    Raises:
        BadInput: the method cannot merge these tensors, or the result is not finite.
    """
    moved = vocabulary is not None and step.source.tensor in vocabulary.tensors
    read = models.stored if moved else models.read
    tensors = {each.model: read(each).to(dtype) for each in step.inputs}
    if vocabulary is not None and moved:
        named = {models.names[each]: tensor for each, tensor in tensors.items()}
        origin = None if step.origin is None else models.names[step.origin]
        found = vocabulary.aligned(named, origin)
        tensors = {each: found[models.names[each]] for each in tensors}
    parts = []
    for each in step.models:
        tensor = tensors[each.model]
        lots = partial(models.lots, each, tensor.shape) if merge.random else None
        parts.append(Part(tensor, each.values, lots))
    base = None if step.base is None else tensors[step.base.model]
    result = merge(Inputs(step.name, base, parts, step.values), dtype)
    return result if moved else models.extended(step.source.tensor, result)


def finite(name: str, tensor: Tensor) -> Tensor:
    """A tensor of finite numbers as it is; raises `BadInput` for any other."""
    # a NaN is both the least and the largest; a sum of 16 bits takes ten times as long
    if tensor.numel() and not torch.stack(torch.aminmax(tensor)).isfinite().all():
        kind = str(tensor.dtype).removeprefix("torch.")
        what = f"the merged weights overflow {kind}, or are divided by 0"
        raise bad(f"tensor {name}", what, "Use other weights; mergekit writes NaN or infinity.")
    return tensor
