"""Adapters that are not a sum of low-rank products, as the full experts that peft's merge gives.

    base in float32 ─ peft: load, merge ─► module ─► tensors that differ from the base's
                                                      └─ one safetensors file, float32
    a checkpoint of the expert = the base's tensors where they lie + those of that file

So a DoRA, a LoHa or an adapter with a retrained head is read by every method like any full expert,
and rounded once, at the end. The file lies in the workspace under what it was made of (base,
adapter, versions) and is checked against its digest; without a workspace it lies in a temporary
directory for as long as the readers live.
"""

from __future__ import annotations

import hashlib
import json
import os
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from engine import unfinished
from engine.errors import bad
from engine.family.checkpoint import Checkpoint
from engine.family.headers import read_header
from engine.family.loading import load_module
from engine.family.placement import Placement, state_of
from engine.family.text import first_line
from engine.family.weights import Reader
from engine.merging import checked_file
from engine.merging.peft_layers import PEFT_ERRORS, attach, quietly

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FOLDER = "adapters"
KEPT = 12
"""Files of merged adapters that stay in a workspace; the oldest goes first."""

_FORMAT = 1


class Materialised:
    """Merges adapters into one base and keeps what they changed.

    Args:
        base: a full checkpoint.
        workspace: where files are kept; None for a temporary directory of this object's own.
        fingerprints: of base and experts by name; needed with a workspace.
    """

    def __init__(
        self,
        base: Checkpoint,
        workspace: Path | None = None,
        fingerprints: Mapping[str, str] | None = None,
    ) -> None:
        self.base = base
        self._fingerprints = fingerprints
        self._temporary = workspace is None or fingerprints is None
        if workspace is None or fingerprints is None:
            self.place, lock = unfinished.make_temporary("adapters")
            weakref.finalize(self, unfinished.drop, self.place, lock)
        else:
            self.place = workspace / FOLDER
            self.place.mkdir(parents=True, exist_ok=True)

    def expert(self, expert: Checkpoint) -> Checkpoint:
        """The expert as a full checkpoint by the base's names.

        Raises:
            BadInput: peft does not load or merge it; the merged weights are not finite.
        """
        file = self.place / f"{self._key(expert)}.safetensors"
        if not checked_file.sound(file):
            changed = merged_tensors(self.base, expert)
            checked_file.write(file, changed)
            self._prune(file)
        os.utime(file)
        tensors = {**self.base.tensors, **read_header(file)}
        return replace(expert, kind="full", config=self.base.config, tensors=tensors, adapter=None)

    def _key(self, expert: Checkpoint) -> str:
        if self._fingerprints is None:
            return hashlib.sha256(expert.name.encode()).hexdigest()[:32]
        data = [
            _FORMAT,
            self._fingerprints["base"],
            self._fingerprints[expert.name],
            *(version(each) for each in ("peft", "torch", "transformers")),
        ]
        return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:32]

    def _prune(self, new: Path) -> None:
        if self._temporary:
            return
        for old in checked_file.oldest_first(self.place)[:-KEPT]:
            if old != new:
                checked_file.remove(old)


def merged_tensors(base: Checkpoint, expert: Checkpoint) -> dict[str, Tensor]:
    """What peft's merge into the float32 base changes: base tensor name -> float32 tensor.

    Raises:
        BadInput: peft does not load or merge it; a merged weight is not finite.
    """
    assert expert.adapter is not None
    where = f"{expert.name} ({expert.path})"
    module, placement = load_module(base, "cpu", torch.float32)
    wrapped = attach(module, expert)
    try:
        with quietly(), torch.no_grad():
            merged = cast("Any", wrapped.base_model).merge_and_unload()
    except PEFT_ERRORS as error:
        what = f"peft cannot merge this {expert.adapter.config.label} ({first_line(error)})"
        raise bad(where, what, "Use another expert.") from error
    changed: dict[str, Tensor] = {}
    with Reader(base) as reader:
        for name, now in stored_again(merged, placement, reader):
            before = reader.read(name).to(torch.float32)
            if now.shape == before.shape and torch.equal(now, before):
                continue
            if not torch.isfinite(now).all():
                what = f"merged into the base, it makes {name} infinite or NaN"
                raise bad(where, what, "Use another expert.")
            changed[name] = now.to(torch.float32).contiguous().clone()
    return changed


def stored_again(
    module: PreTrainedModel, placement: Placement, reader: Reader
) -> Iterator[tuple[str, Tensor]]:
    """A float32 module's weights under the names and in the shapes of its checkpoint.

    Groups that transformers converts are mapped back by its own reverse conversion; groups with
    unchanged parameters are left out.

    Args:
        reader: of that checkpoint.
    """
    from transformers.core_model_loading import revert_weight_conversion

    state = {name: each.detach() for name, each in state_of(module).items()}
    for name, part in placement.parts.items():
        yield name, part.of(state[part.target])
    for group in placement.groups:
        before = {name: reader.read(name).to(torch.float32) for name in group.names}
        made = group.convert(before, module)
        if all(torch.equal(each, state[target]) for target, each in made.items()):
            continue
        now = {target: state[target] for target in group.targets}
        back = revert_weight_conversion(module, now)
        lost = set(group.names) - back.keys()
        if lost:
            what = f"transformers cannot map {min(lost)} back to its stored name"
            raise bad(str(reader.checkpoint.path), what, "Use a full expert instead.")
        yield from ((name, back[name]) for name in group.names)
