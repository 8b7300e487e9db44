"""What every tensor of the result is merged from: the layers of each source, and each parameter.

    models:   layer l of the result  ◄── layer l of every model           depth l / (layers − 1)
    slices:   layer l of the result  ◄── layer (start + k) of each source of its slice, k-th in it
                                                                          depth k / (length − 1)
    before the layers ◄── the first slice's sources;  after them ◄── the last slice's;  depth 0

A parameter comes from the nearest level that says one at this tensor: the source in its slice, the
slice, the file. Filters look at the name of the source's own tensor where the parameter is a
model's, at that of the result's where it is the merge's.
Source: mergekit 0.1.5, `plan.py` and `parameter_resolver.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from engine.errors import bad
from engine.mergekit.architectures import after_layers
from engine.mergekit.document import MergeFile, Slice, Source
from engine.mergekit.levels import resolve
from engine.parameter import Parameter

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks?|layer)\.(\d+)\.")


@dataclass(frozen=True)
class Input:
    """A model's tensor that goes into one of the result, and its parameters.

    Attributes:
        model: its name, a key of `MergeFile.models`.
        tensor: the name that it has there.
    """

    model: str
    tensor: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One tensor of the result; without a base and models it is the source's as it is.

    Attributes:
        source: the tensor of the first source that stands in its place.
        base: the base's tensor; None where the method has none, or takes it as one of the models.
        origin: the model that is the base of this tensor's slice, whatever it is to the method.
    """

    name: str
    source: Input
    base: Input | None
    models: tuple[Input, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    origin: str | None = None

    @property
    def inputs(self) -> tuple[Input, ...]:
        return (*([] if self.base is None else [self.base]), *self.models)


@dataclass(frozen=True)
class Layer:
    """Where a tensor stands in the stack of layers.

    Attributes:
        stack: what precedes the number in its name; models of several parts have several.
    """

    stack: str
    number: int
    rest: str

    def at(self, number: int) -> str:
        """The name of the same tensor in another layer."""
        return f"{self.stack}{number}{self.rest}"


def layer_of(tensor: str) -> Layer | None:
    """The layer that a tensor belongs to, by its name; None outside the layers."""
    match = _LAYER.search(tensor)
    if match is None:
        return None
    return Layer(tensor[: match.start(1)], int(match[1]), tensor[match.end(1) :])


def layer_counts(tensors: Iterator[str] | tuple[str, ...]) -> dict[str, int]:
    """Layers of every stack."""
    counts: Counter[str] = Counter()
    for name in tensors:
        layer = layer_of(name)
        if layer is not None:
            counts[layer.stack] = max(counts[layer.stack], layer.number + 1)
    return dict(counts)


class _Planning:
    """Plans one file."""

    def __init__(
        self,
        file: MergeFile,
        tensors: tuple[str, ...],
        architecture: str,
        beside: frozenset[str],
        depths: Mapping[str, int],
    ) -> None:
        self.file = file
        self.tensors = tensors
        self.beside = beside
        self.architecture = architecture
        self.counts = layer_counts(tensors)
        self.depths = depths

    def value(
        self, parameter: Parameter, levels: list[Mapping[str, Any]], tensor: str, depth: float,
        of: str,
    ) -> Any:  # fmt: skip
        """A parameter at a tensor; None where nothing says it and it need not be said."""
        where = f"{self.file.path}: {parameter.name}{of}"
        found = resolve(parameter.name, levels, tensor, depth, parameter.check, where)
        if found is None and parameter.required:
            if any(parameter.name in level for level in levels):
                what, fix = f"no filter matches {tensor}", "Add a last entry without a filter."
            else:
                what = f"{parameter.name!r} is missing"
                fix = "Give it to every model, or to all of them under parameters."
            raise bad(where, what, fix)
        return found

    def values(
        self, parameters: tuple[Parameter, ...], levels: list[Mapping[str, Any]], tensor: str,
        depth: float, of: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        settled = {one.name: self.value(one, levels, tensor, depth, of) for one in parameters}
        return {name: value for name, value in settled.items() if value is not None}

    def step(self, name: str, part: Slice, tensors: tuple[str, ...], depth: float) -> Step:
        """One tensor of the result from the tensors of a slice's sources."""
        merge, file = self.file.merge, self.file
        first = Input(part.sources[0].model, tensors[0])
        if tensors[0] in self.beside:
            return Step(name, first, None, ())
        above = [part.parameters, file.parameters]
        base = None if merge.base == "plain" else part.base or file.base
        found: list[Input] = []
        beside: Input | None = None
        for source, tensor in zip(part.sources, tensors, strict=False):
            if source.model == base:
                beside = Input(source.model, tensor)
                continue
            levels = [source.parameters, *above]
            of = f" of {file.models[source.model].name or source.model}"
            values = self.values(merge.each, levels, tensor, depth, of)
            found.append(Input(source.model, tensor, values))
        shared = self.values(merge.shared, above, name, depth)
        return Step(name, first, beside, tuple(found), shared, part.base or file.base)

    def stack(self) -> str:
        """The one stack that slices cut."""
        if len(self.counts) != 1:
            stacks = ", ".join(sorted(self.counts)) or "no layers"
            what = f"slices need one stack of layers; this model has {stacks}"
            raise bad(f"{self.file.path}: slices", what, "List whole models under models:.")
        return next(iter(self.counts))

    def layers(self, source: Source, where: str) -> tuple[int, int]:
        assert source.layers is not None  # a slice has ranges
        there = self.depths.get(source.model, self.counts[self.stack()])
        if source.layers[1] > there:
            model = self.file.models[source.model].name
            what = f"{model} has {there} layers, not {source.layers[1]}"
            raise bad(f"{where}.layer_range", what, "Write a range that the model has.")
        return source.layers

    def sliced(self) -> Iterator[Step]:
        """Every tensor of stacked slices."""
        first, last = self.file.slices[0], self.file.slices[-1]
        for name in self.tensors:
            if layer_of(name) is None:
                part = last if after_layers(name, self.architecture) else first
                # mergekit takes as many of the last slice's sources as the first slice has
                count = len(first.sources)
                yield self.step(name, part, (name,) * min(count, len(part.sources)), 0.0)
        stack, done = self.stack(), 0
        places = [each for each in map(layer_of, self.tensors) if each is not None]
        for index, part in enumerate(self.file.slices):
            where = f"{self.file.path}: slices[{index}].sources"
            starts = [self.layers(each, where)[0] for each in part.sources]
            start, stop = self.layers(part.sources[0], where)
            for offset in range(stop - start):
                depth = offset / (stop - start - 1) if stop - start > 1 else 1.0
                for place in places:
                    if place.number != start + offset:
                        continue
                    tensors = tuple(place.at(each + offset) for each in starts)
                    for source, tensor in zip(part.sources, tensors, strict=True):
                        if tensor not in self.tensors:
                            what = f"{self.file.models[source.model].name} has no {tensor}"
                            fix = "Merge layers of one kind."
                            raise bad(where, what, fix)
                    yield self.step(f"{stack}{done}{place.rest}", part, tensors, depth)
                done += 1

    def whole(self) -> Iterator[Step]:
        """Every tensor of whole models."""
        (part,) = self.file.slices
        for name in self.tensors:
            layer, depth = layer_of(name), 0.0
            if layer is not None:
                count = self.counts[layer.stack]
                depth = layer.number / (count - 1) if count > 1 else 1.0
            yield self.step(name, part, (name,) * len(part.sources), depth)


def plan_steps(
    file: MergeFile,
    tensors: tuple[str, ...],
    architecture: str = "",
    beside: frozenset[str] = frozenset(),
    depths: Mapping[str, int] = MappingProxyType({}),
) -> list[Step]:
    """How every tensor of the result is made; all settings are read.

    Args:
        tensors: names of the first model's, and of the later layers of those that have more.
        architecture: the class that the configuration names.
        beside: those that are copied, not merged (integer buffers).
        depths: how many layers each model has, where that is not the same.

    Raises:
        BadInput: a parameter has no value at some tensor, or a slice no such layers.
    """
    planning = _Planning(file, tensors, architecture, beside, depths)
    return list(planning.whole() if file.whole else planning.sliced())


def layers_taken(file: MergeFile) -> list[tuple[str, int]]:
    """(model, layer) that each layer of stacked slices comes from first; empty of whole models."""
    return [
        (part.sources[0].model, layer)
        for part in file.slices
        for layer in range(*(part.sources[0].layers or (0, 0)))
    ]
