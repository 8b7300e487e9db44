"""A mergekit YAML merged straight to disk: planned by headers alone, written tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.export.checkpoint import copy_side_files
from engine.export.directory import new_directory
from engine.export.layout import Planned, side_files
from engine.export.shards import NAMES, write_model
from engine.family.compatibility import Family, open_family
from engine.family.device import DTYPES
from engine.mergekit.document import MergeFile
from engine.mergekit.plan import Step, plan_steps
from engine.mergekit.reading import read_mergekit
from engine.mergekit.tensors import Models, finite, merged, step_dtype
from engine.study import FamilySpec

_COPIES = 6
"""Float32 copies of a tensor that a method holds beside two of each model's."""


@dataclass(frozen=True)
class YamlPlan:
    """What a mergekit YAML asks for, checked against its models' headers.

    Attributes:
        names: name of a model in the file -> in the family.
    """

    file: MergeFile
    family: Family
    names: Mapping[str, str]
    steps: tuple[Step, ...]

    def working_memory(self) -> int:
        """Bytes that the merge holds at its worst."""
        models = Models(self.family, self.names)
        return max(
            4 * _shape(models, each).numel() * (2 * len(each.inputs) + _COPIES)
            for each in self.steps
        )

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
        steps = {each.name: each for each in self.steps}
        planned = [_planned(models, each, inner, outer) for each in self.steps]

        def produce(name: str) -> Tensor:
            step = steps[name]
            if not step.inputs:
                return models.copied(step.source)
            kind = step_dtype(models, step, inner)
            return finite(name, merged(models, file.merge, step, kind).to(outer or kind))

        side_files(family)  # what cannot be copied is reported before anything is merged
        with new_directory(out, sum(each.bytes for each in planned)) as partial:
            written = write_model(partial, sorted(planned, key=_by_name), produce, shard)
            written += copy_side_files(family, partial, outer or inner)
        return sorted(written)


def _by_name(planned: Planned) -> str:
    return planned.name


def _shape(models: Models, step: Step) -> torch.Size:
    own = models.family.base.tensors[step.source.tensor].shape
    plan = models.family.vocabulary_tensors.get(step.source.tensor)
    return torch.Size(own if plan is None else (plan.merged, *own[1:]))


def _planned(
    models: Models, step: Step, inner: torch.dtype | None, outer: torch.dtype | None
) -> Planned:
    shape = tuple(_shape(models, step))
    if not step.inputs:
        return Planned(step.name, models.family.base.tensors[step.source.tensor].dtype, shape)
    return Planned(step.name, NAMES[outer or step_dtype(models, step, inner)], shape)


def plan_yaml(data: Mapping[str, Any], path: Path) -> YamlPlan:
    """The plan of a parsed mergekit YAML; opens headers only.

    Raises:
        BadInput: what is not read here, by name; models that do not fit together.
    """
    file = read_mergekit(data, path)
    first, *others = file.models
    names = {first: "base", **{name: name for name in others}}
    spec = FamilySpec(
        file.models[first], {name: file.models[name] for name in others}, tokenizer="",
        towers="merge",
    )  # fmt: skip
    family = open_family(spec, text=False)
    kept = tuple(sorted(name for name in family.base.tensors if name not in family.tied))
    beside = frozenset(kept) - frozenset(family.tensors)
    steps = plan_steps(file, kept, family.base.architecture, beside)
    return YamlPlan(file, family, names, tuple(steps))


def merge_yaml(
    plan: YamlPlan,
    out: Path,
    *,
    dtype: torch.dtype | None,
    shard: int,
    device: torch.device,
    fingerprints: Mapping[str, str],
    tick: Callable[[], None],
) -> list[str]:
    """Write what a mergekit YAML asks for; returns the names of the files."""
    models = Models(plan.family, plan.names, device, tick, fingerprints)
    return plan.write(out, models, dtype, shard)
