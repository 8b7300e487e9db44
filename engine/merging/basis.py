"""Bases: objects that write θ(c) for any coefficients c, one tensor at a time.

    Tensors    base and experts as they lie on disk, read lazily; knows rows that only some have
    Affine     θ(c) = Σ_m a_m(c) θ_m                       stores nothing
    Elementwise  θ(c) = θ0 + Σ c_i W_i, W = weigh(chunk)   computes W again at every pass
    (engine.merging.sparse: the same with W kept; engine.merging.low_rank: bases on whole matrices)

Each says which weighted sums make a tensor (`sums`), and engine.merging.sums makes them, in float32
and always from θ0. Vocabularies: the base's rows are merged, a row that an expert lacks counts as
the base's, and a row that the base lacks is copied from the first expert that has it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from engine.family.compatibility import Family
from engine.family.headers import FLOAT_DTYPES
from engine.merging.chunk import Chunk
from engine.merging.readers import Readers
from engine.merging.sparse import Sparse
from engine.merging.sums import Sum, SumBasis, joined

CHUNK = 1 << 16
"""Elements of one chunk: a quarter of a megabyte of float32 an expert, so that all that is made of
it stays in a core's cache; and the quantum of a cancel."""

SPAN = 1 << 17
"""Elements of one step of a sum: half a megabyte of float32, which stays in a core's cache."""


def nothing() -> None:
    """The tick of work that is never interrupted."""


class Basis(Protocol):
    """Writes merged tensors; linear in the coefficients once built."""

    tensors: Tensors

    def combine(self, name: str, coefficients: Mapping[str, float], out: Tensor) -> None:
        """Write θ(c)[name] into `out`, float32, of `tensors.shape(name)`."""


@runtime_checkable
class Computed(Basis, Protocol):
    """A basis that computes at every pass what it can keep in memory instead."""

    def materialise(self) -> Basis:
        """The same basis, bit-equal, for many passes."""


@runtime_checkable
class Summed(Basis, Protocol):
    """A basis whose tensors are written part by part, without one of their size beside them."""

    def sums(self, name: str, coefficients: Mapping[str, float]) -> Iterable[Sum] | None:
        """What `combine` writes, in order; each to be written before the next one is asked for.
        None where a tensor can only be combined whole."""


def sums_of(basis: Basis, name: str, coefficients: Mapping[str, float]) -> Iterable[Sum]:
    """The sums that make θ(c)[name]; a tensor that can only be combined whole is, here."""
    # what `isinstance` asks of a protocol takes longer than a small tensor's sums
    sums: Callable[..., Iterable[Sum] | None] | None = getattr(basis, "sums", None)
    found = None if sums is None else sums(name, coefficients)
    if found is None:
        whole = torch.empty(basis.tensors.shape(name), device=basis.tensors.device)
        basis.combine(name, coefficients, whole)
        found = (Sum(0, whole.numel(), ((whole.view(-1), 1.0),)),)
    return found


class Tensors:
    """The float tensors of a family, by name; read lazily.

    Args:
        family: its base gives names and dtypes of the result; LoRA experts give deltas, and other
            adapters are merged by peft when they are first read.
        device: where the arithmetic runs.
        tick: called once per chunk.
        workspace: where merged adapters are kept; None for as long as this object lives.
        fingerprints: gives those of the models; asked where a mask is drawn by lot.
        check: refuse numbers that are not finite as they are read.
    """

    def __init__(
        self,
        family: Family,
        device: torch.device | str = "cpu",
        tick: Callable[[], None] = nothing,
        workspace: Path | None = None,
        fingerprints: Callable[[], Mapping[str, str]] | None = None,
        check: bool = False,
    ) -> None:
        self.family = family
        self.device = torch.device(device)
        self.tick = tick
        self.names = family.tensors
        self.seen = 0  # elements of task vectors made so far; what is left is progress
        self.experts = tuple(family.experts)
        self.full = tuple(name for name in self.experts if family.experts[name].kind != "lora")
        self._readers = Readers(family, lambda: self.tick(), workspace, fingerprints, check)

    @property
    def size(self) -> int:
        """Elements that are merged."""
        return sum(self.merged_shape(name).numel() for name in self.names)

    def dtype(self, name: str) -> torch.dtype:
        """Dtype of a tensor in the base checkpoint."""
        return getattr(torch, FLOAT_DTYPES[self.family.base.tensors[name].dtype])

    def shape(self, name: str) -> torch.Size:
        """Shape of a result: the base's, with the rows that only an expert has."""
        own = self.family.base.tensors[name].shape
        plan = self.family.vocabulary_tensors.get(name)
        return torch.Size(own if plan is None else (plan.merged, *own[1:]))

    def merged_shape(self, name: str) -> torch.Size:
        """Shape of the part that is merged: the base's."""
        return torch.Size(self.family.base.tensors[name].shape)

    def read(self, model: str, name: str) -> Tensor:
        """The merged part of a tensor, as stored; rows that an expert lacks are the base's."""
        stored = self.stored(model, name)
        whole = stored[0] if len(stored) == 1 else torch.cat(stored)
        return whole.view(self.merged_shape(name)).to(self.device)

    def stored(self, model: str, name: str) -> list[Tensor]:
        """What `read` gives, flat, where it is mapped; rows that an expert lacks follow apart."""
        plan = self.family.vocabulary_tensors.get(name)
        if plan is None or model == "base":
            return [self._readers[model].read(name).reshape(-1)]
        found = self._readers[model].read(name, slice(0, plan.common))
        if len(found) == plan.common:
            return [found.reshape(-1)]
        missing = self._readers["base"].read(name, slice(len(found), plan.common))
        return [found.reshape(-1), missing.to(found.dtype).reshape(-1)]

    def untouched(self, name: str) -> Tensor:
        """A tensor of the base that is not merged (an integer buffer), as stored."""
        return self._readers["base"].read(name)

    def delta(self, expert: str, name: str) -> Tensor | None:
        """s·B·A of a LoRA expert, float32, or None if it leaves the tensor alone."""
        found = self._readers[expert].delta(name)
        return None if found is None else found.to(self.device)

    def product(self, expert: str, name: str) -> tuple[Tensor, Tensor] | None:
        """The factors of `delta`, float64, scale included, or None."""
        found = self._readers[expert].product(name)
        return None if found is None else (found[0].to(self.device), found[1].to(self.device))

    def extra(self, name: str) -> Iterator[Sum]:
        """The rows that the base lacks, from the expert that supplies them."""
        plan = self.family.vocabulary_tensors.get(name)
        for each in () if plan is None else plan.extra:
            found = self._readers[each.model].read(name, slice(each.start, each.stop))
            start = each.start * self.shape(name)[1:].numel()
            yield Sum(start, found.numel(), ((found.reshape(-1), 1.0),))

    def vectors(self, name: str, rows: bool = False) -> Iterator[Chunk]:
        """Task vectors of one tensor, in order over its flat merged part.

        Args:
            rows: chunks hold whole rows along the last dimension, one longer than CHUNK if need be.
        """
        base = self.read("base", name).reshape(-1)
        full = {each: self.read(each, name).reshape(-1) for each in self.full}
        deltas = {each: self.delta(each, name) for each in self.experts if each not in full}
        width = max([1, *self.merged_shape(name)[-1:]]) if rows else 1
        step = max(1, CHUNK // width) * width
        for start in range(0, base.numel(), step):
            zero = base[start : start + step].to(torch.float32)
            chunk = torch.zeros(len(self.experts), len(zero), device=self.device)
            for row, expert in zip(chunk, self.experts, strict=True):
                if expert in full:
                    torch.sub(full[expert][start : start + step].to(torch.float32), zero, out=row)
                elif (delta := deltas[expert]) is not None:
                    row.copy_(delta.reshape(-1)[start : start + step])
            self.seen += len(zero)
            self.tick()
            yield Chunk(name, start, self.experts, chunk, self._readers.fingerprints)

    def chunks(self) -> Iterator[Chunk]:
        """Task vectors of the whole model, tensor by tensor."""
        for name in self.names:
            yield from self.vectors(name)

    def lots(self, name: str, expert: str, seed: int) -> Tensor:
        """Uniform random numbers of an expert in [0, 1), of a tensor's merged shape, as its chunks
        draw them."""
        shape = self.merged_shape(name)
        flat = torch.empty(1, shape.numel(), device=self.device)
        return Chunk(name, 0, (expert,), flat, self._readers.fingerprints).lots(seed).view(shape)

    def affine(self, weights: Callable[[Mapping[str, float]], dict[str, float]]) -> Affine:
        return Affine(self, weights)

    def elementwise(self, weigh: Callable[[Chunk], Tensor], rows: bool = False) -> Elementwise:
        return Elementwise(self, weigh, rows)


class Affine(SumBasis):
    """θ(c) = Σ_m a_m(c) θ_m from the checkpoints as they are.

    Args:
        weights: coefficients -> weight of each model, "base" included where it has one.
    """

    def __init__(
        self, tensors: Tensors, weights: Callable[[Mapping[str, float]], dict[str, float]]
    ) -> None:
        self.tensors = tensors
        self.weights = weights

    def sums(self, name: str, coefficients: Mapping[str, float]) -> Iterator[Sum]:
        """What makes θ(c)[name]; models of weight 0 are not read."""
        tensors = self.tensors
        given = self.weights(coefficients)
        adapters = [each for each in tensors.experts if each not in tensors.full]
        # a LoRA expert is θ0 + Δ: its weight goes to the base, and to Δ
        given["base"] = math.fsum([given.get("base", 0.0), *(given[each] for each in adapters)])
        terms = [
            (tensors.stored(model, name), given[model])
            for model in ("base", *tensors.full)
            if given[model] != 0.0
        ]
        for expert in adapters:
            if given[expert] != 0.0 and (delta := tensors.delta(expert, name)) is not None:
                terms.append(([delta.reshape(-1)], given[expert]))
        if terms:
            yield from joined(terms)
        else:
            yield Sum(0, tensors.merged_shape(name).numel(), ())
        yield from tensors.extra(name)


class Elementwise(SumBasis):
    """θ(c) = θ0 + Σ c_i W_i, where W is a function of the task vectors at the same elements, or in
    the same rows, and of where these lie.

    Args:
        weigh: chunk of task vectors τ [n, k] -> W [n, k] float32.
        rows: chunks hold whole rows along a tensor's last dimension.
    """

    def __init__(
        self, tensors: Tensors, weigh: Callable[[Chunk], Tensor], rows: bool = False
    ) -> None:
        self.tensors = tensors
        self.weigh = weigh
        self.rows = rows

    def vectors(self, name: str) -> Iterator[Chunk]:
        """The chunks of a tensor that `weigh` takes."""
        return self.tensors.vectors(name, self.rows)

    def sums(self, name: str, coefficients: Mapping[str, float]) -> Iterator[Sum]:
        """What makes θ(c)[name], computing W on the way."""
        (base,) = self.tensors.stored("base", name)
        for chunk in self.vectors(name):
            count = chunk.vectors.shape[1]
            terms = [(base[chunk.start : chunk.start + count], 1.0)]
            for expert, row in zip(self.tensors.experts, self.weigh(chunk), strict=True):
                if coefficients[expert] != 0.0:
                    terms.append((row, coefficients[expert]))
            yield Sum(chunk.start, count, tuple(terms))
        yield from self.tensors.extra(name)

    def materialise(self) -> Sparse:
        """The same basis with W kept in memory, so that a slider move only reads it."""
        return Sparse.of(self)
