"""A mergekit YAML merged straight to disk: planned by headers alone, written tensor by tensor."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import bad
from engine.export.checkpoint import copy_side_files
from engine.export.directory import new_directory
from engine.export.layout import Planned, side_files
from engine.export.shards import NAMES, write_model
from engine.export.yaml_side import (
    chosen_template,
    resized_config,
    stacked_config,
    tokenizers_of,
    write_template,
)
from engine.family.compatibility import Family, open_family
from engine.family.depth import layer_of, layers_of
from engine.family.device import DTYPES
from engine.family.headers import TensorInfo
from engine.family.placement import Part
from engine.family.tokenizer import TokenizerFiles
from engine.mergekit.document import MergeFile
from engine.mergekit.plan import Input, Step, layers_taken, plan_steps
from engine.mergekit.reading import read_mergekit
from engine.mergekit.tensors import Models, finite, merged, step_dtype
from engine.mergekit.union import FILE as TOKENIZER
from engine.mergekit.union import added_to, write_added
from engine.mergekit.units import Unit, units_of, written_as
from engine.mergekit.vocabulary import Vocabulary, align, tokens_of
from engine.study import FamilySpec


@dataclass(frozen=True)
class YamlPlan:
    """What a mergekit YAML asks for, checked against its models' headers.

    Attributes:
        names: name of a model in the file -> in the family.
        vocabulary: the order of the rows of embeddings and heads, where a tokenizer gives it.
        template: the chat template of the result, where it is not the tokenizer's own.
        units: name -> stored tensors that are merged as one under it.
        added: tokens that the tokenizer gets, as tokenizer.json lists them.
    """

    file: MergeFile
    family: Family
    names: Mapping[str, str]
    steps: tuple[Step, ...]
    vocabulary: Vocabulary | None = None
    template: str | None = None
    units: Mapping[str, Unit] = field(default_factory=dict)
    added: tuple[dict[str, Any], ...] = ()

    def working_memory(self) -> int:
        """Bytes that the merge holds at its worst."""
        models = Models(self.family, self.names)
        bytes_of = (4 * self.shape(each).numel() * self.copies(models, each) for each in self.steps)
        return int(max(bytes_of))

    def copies(self, models: Models, step: Step) -> float:
        """Float32 copies of a tensor that are held while it is merged."""
        each, once = self.file.merge.copies
        unit = self.units.get(step.source.tensor)
        if unit is not None:  # put together first, and held until the last part is written
            return (each + 2) * len(step.inputs) + once + 2
        if self.vocabulary is not None and step.source.tensor in self.vocabulary.tensors:
            return (each + 2) * len(step.inputs) + once
        if not step.inputs:
            return 1
        inner = None if self.file.dtype is None else DTYPES[self.file.dtype]
        kind = step_dtype(models, step, inner)
        changed = sum(models.dtype(one) != kind for one in step.inputs)
        return each * len(step.models) + once + changed

    def write(
        self,
        out: Path,
        models: Models,
        dtype: torch.dtype | None,
        shard: int,
    ) -> list[str]:
        """Write the result to a directory that appears whole or not at all; returns its files.

        Args:
            dtype: of the written weights; None for what the file says.
        """
        file, family = self.file, self.family
        inner = None if file.dtype is None else DTYPES[file.dtype]
        outer = dtype or (None if file.out_dtype is None else DTYPES[file.out_dtype])
        planned = [each for step in self.steps for each in self.planned(models, step, inner, outer)]
        places = {
            name: (step, part) for step in self.steps for name, part in self.written(step).items()
        }
        held: dict[str, tuple[Tensor, set[str]]] = {}

        def whole(step: Step) -> Tensor:
            if not step.inputs:
                return models.copied(step.source)
            kind = step_dtype(models, step, inner)
            made = merged(models, file.merge, step, kind, self.vocabulary)
            return finite(step.name, made.to(self.result(models, step, inner, outer)))

        def produce(name: str) -> Tensor:
            step, part = places[name]
            if part is None:
                return whole(step)
            if step.name not in held:  # until its last part is written
                held[step.name] = whole(step), set(self.written(step))
            found, left = held[step.name]
            left.remove(name)
            if not left:
                del held[step.name]
            return part.of(found)

        side_files(family)  # what cannot be copied is reported before anything is merged
        with new_directory(out, sum(each.bytes for each in planned)) as partial:
            written = write_model(partial, sorted(planned, key=attrgetter("name")), produce, shard)
            written += copy_side_files(family, partial, outer or self.kind(models, inner))
            self.mend_config(partial / "config.json")
            if self.added:
                write_added(partial / TOKENIZER, self.added)
            if self.template is not None:
                written += write_template(partial, self.template)
        return sorted(written)

    def result(
        self, models: Models, step: Step, inner: torch.dtype | None, outer: torch.dtype | None
    ) -> torch.dtype:
        """The type that a merged tensor is written in."""
        return outer or self.file.merge.result_dtype(step_dtype(models, step, inner))

    def kind(self, models: Models, inner: torch.dtype | None) -> torch.dtype | None:
        """The type that most tensors are written in; None if it is the base's, which the
        configuration has already."""
        counts = Counter(
            self.result(models, each, inner, None) for each in self.steps if each.inputs
        )
        found = counts.most_common(1)[0][0]
        return None if inner is None and found == DTYPES.get(self.family.base.dtype) else found

    def mend_config(self, file: Path) -> None:
        """Write what stacked layers and another vocabulary change in a copied configuration."""
        if not file.is_file() or (self.file.whole and self.vocabulary is None):
            return
        config = json.loads(file.read_text(encoding="utf-8"))
        if not self.file.whole:
            stacked_config(config, self.stack(), f"{self.file.path}: slices")
        if self.vocabulary is not None:
            resized_config(config, len(self.vocabulary))
        file.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def stack(self) -> list[tuple[Mapping[str, Any], int]]:
        """(configuration of its model, number there) of every stacked layer."""
        taken = layers_taken(self.file)
        return [(self.family.models[self.names[each]].config, layer) for each, layer in taken]

    def written(self, step: Step) -> dict[str, Part | None]:
        """Names that a tensor of the result is written under, and the part of it that each is."""
        unit = self.units.get(step.source.tensor)
        return {step.name: None} if unit is None else {**unit.written(step)}

    def stored(self, each: Input) -> TensorInfo:
        """Where a tensor lies: in its model, else, as an adapter's, in the base."""
        model = self.family.models[self.names[each.model]]
        return (model if each.tensor in model.tensors else self.family.base).tensors[each.tensor]

    def shape(self, step: Step) -> torch.Size:
        """Shape of a tensor of the result."""
        name = step.source.tensor
        if name in self.units:
            return torch.Size(self.units[name].shape)
        own = self.stored(step.source).shape
        plan = self.family.vocabulary_tensors.get(name)
        if self.vocabulary is not None and name in self.vocabulary.tensors:
            return torch.Size((len(self.vocabulary), *own[1:]))
        return torch.Size(own if plan is None else (plan.merged, *own[1:]))

    def planned(
        self, models: Models, step: Step, inner: torch.dtype | None, outer: torch.dtype | None
    ) -> list[Planned]:
        """What is written of a tensor of the result."""
        name = step.source.tensor
        if not step.inputs:
            return [Planned(step.name, self.stored(step.source).dtype, tuple(self.shape(step)))]
        dtype = NAMES[self.result(models, step, inner, outer)]
        if name not in self.units:
            return [Planned(step.name, dtype, tuple(self.shape(step)))]
        return [
            Planned(
                written_as(stored, step),
                dtype,
                self.stored(replace(step.source, tensor=stored)).shape,
            )
            for stored in self.units[name].parts
        ]


def plan_yaml(data: Mapping[str, Any], path: Path) -> YamlPlan:
    """The plan of a parsed mergekit YAML; opens headers only.

    Raises:
        BadInput: what is not read here, by name; models that do not fit together.
    """
    file = read_mergekit(data, path)
    first, *others = file.models
    names = {first: "base", **{name: name for name in others}}
    experts = {name: file.models[name] for name in others}
    chosen = ""
    if file.tokenizer is not None:
        named = file.tokenizer not in ("base", "union")
        chosen = names[file.tokenizer if named else file.base or first]
    spec = FamilySpec(file.models[first], experts, tokenizer=chosen, towers="merge")
    family = open_family(spec, text=False, ids=file.tokenizer is None, layers=file.whole)
    vocabulary, added = _vocabulary(file, family)
    kept = tuple(sorted(name for name in family.base.tensors if name not in family.tied))
    depths = {name: layers_of(family.tensors_of(family.models[names[name]])) for name in names}
    if not file.whole:  # later layers of others, and none that its class ignores
        there = layers_of(family.tensors_of(family.base))
        kept = tuple(
            sorted({*family.tensors, *(each for each in kept if (layer_of(each) or 0) < there)})
        )
    beside = frozenset(kept) - frozenset(family.tensors)
    units = units_of(family)
    within = {stored for each in units.values() for stored in each.parts}
    tensors = tuple(sorted((*(set(kept) - within), *units)))
    steps = tuple(plan_steps(file, tensors, family.base.architecture, beside, depths))
    template = _template(file, family)
    plan = YamlPlan(file, family, names, steps, vocabulary, template, units, added)
    if not file.whole:  # what cannot be stacked is refused before anything is written
        stacked_config(deepcopy(dict(family.base.config)), plan.stack(), f"{file.path}: slices")
    return plan


def _vocabulary(
    file: MergeFile, family: Family
) -> tuple[Vocabulary | None, tuple[dict[str, Any], ...]]:
    """The vocabulary of the tokenizer that the family's specification names, and what is added to
    that; (None, nothing) where rows stay as they are."""
    if file.tokenizer is None:
        return None, ()
    where, name = f"{file.path}: tokenizer_source", family.spec.tokenizer
    files = tokenizers_of(family)
    for needed in (name, "base"):
        if needed not in files:
            what = f"{family.spec.path_of(needed)} has no readable tokenizer"
            raise bad(where, what, "Copy its tokenizer there, as tokenizer.json.")
    rows = {each: model.rows or family.base.rows for each, model in family.models.items()}
    tokens = tokens_of(files[name], rows[name], where)
    added: tuple[dict[str, Any], ...] = ()
    if file.tokenizer == "union":
        others = [(each, rows[key]) for key, each in files.items() if key != name]
        added = added_to(files[name], others, where)
    return align(family, files, (*tokens, *(each["content"] for each in added))), added


def _template(file: MergeFile, family: Family) -> str | None:
    if file.chat_template is None:
        return None
    where = f"{file.path}: chat_template"
    if not TokenizerFiles.present(family.spec.path_of(family.spec.tokenizer)):
        raise bad(where, "the result has no tokenizer that could hold it", "Remove it.")
    return chosen_template(file.chat_template, family, where)


def merge_yaml(
    plan: YamlPlan,
    out: Path,
    *,
    dtype: torch.dtype | None,
    shard: int,
    device: torch.device,
    fingerprints: Callable[[], Mapping[str, str]],
    tick: Callable[[], None],
) -> list[str]:
    """Write what a mergekit YAML asks for; returns the names of the files."""
    models = Models(plan.family, plan.names, device, tick, fingerprints, plan.units)
    return plan.write(out, models, dtype, shard)
