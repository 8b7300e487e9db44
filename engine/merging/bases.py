"""The bases of a family's recipes, each computed once per method and structural parameters.

In memory stay those used last, as far as they fit. What is computed over the whole model is kept in
the workspace too, where other processes and the next start find it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from engine.bands import groups_of
from engine.family.fingerprint import family_fingerprint
from engine.family.memory import available_memory, basis_bytes
from engine.merging.banded import Banded
from engine.merging.basis import Basis, Computed, Tensors
from engine.merging.low_rank import Kept, LowRank
from engine.merging.sparse import Sparse
from engine.merging.stored import LEAST, Stored
from engine.method import Method
from engine.recipe import Recipe, find_method

log = logging.getLogger(__name__)

SHARE = 4
"""All kept bases together may take one in so many bytes of the memory that is free or theirs."""


class Bases:
    """Recipe -> its basis.

    Args:
        tensors: of the family.
        workspace: where bases are kept; None for memory alone.
    """

    def __init__(self, tensors: Tensors, workspace: Path | None = None) -> None:
        self._tensors = tensors
        self._workspace = workspace
        self._kept: OrderedDict[tuple[Any, ...], Basis] = OrderedDict()
        self._making: list[tuple[Method, int]] = []

    @property
    def preparing(self) -> str:
        """What is being computed and how far it is, in words; empty where nothing is."""
        if not self._making or not self._making[-1][0].passes:
            return ""
        method, begun = self._making[-1]
        whole = max(1, self._tensors.size * method.passes)
        part = min(99, 100 * (self._tensors.seen - begun) // whole)
        return f"preparing {method.name}: {part} %"

    def of(self, recipe: Recipe, *, keep: bool = True) -> Basis:
        """The basis of a resolved recipe of weight space.

        Args:
            keep: hold what a slider move needs in memory; False recomputes it at every pass.
        """
        method = find_method(recipe.method)
        found = self._of(method, method.structural(recipe.parameters), keep)
        return Banded(found) if groups_of(recipe.parameters) > 1 else found

    def _of(self, method: Method, structural: dict[str, Any], keep: bool) -> Basis:
        key = (method.name, tuple(sorted(structural.items())))
        if (held := self._kept.get((*key, True))) is not None:
            self._kept.move_to_end((*key, True))
            return held
        if not keep and (held := self._kept.get((*key, False))) is not None:
            return held
        self._making.append((method, self._tensors.seen))
        try:
            basis = self._kept_basis(method, structural) if keep else None
            keep = basis is not None
            if basis is None:
                held = self._kept.get((*key, False))
                basis = self._computed(method, structural, False) if held is None else held
        finally:
            self._making.pop()
        self._kept[(*key, keep)] = basis
        self._drop()
        return basis

    def _kept_basis(self, method: Method, structural: dict[str, Any]) -> Basis | None:
        """A basis that holds what moves need; None where there is no room to make it."""
        lasting = method.passes and _is_ours(method) and self._tensors.size >= LEAST
        stored = self._stored if lasting else None
        if stored is not None:
            file = stored.file(method.name, structural)
            known = self._read(stored, file, method, structural)
            if known is not None:
                return _ready(known)
        if method.passes and not self._fits():
            return None
        if stored is None:
            return _ready(self._computed(method, structural))
        with stored.alone(file, self._tensors.tick):
            known = self._read(stored, file, method, structural)
            if known is not None:
                return _ready(known)  # another process has computed it meanwhile
            basis = self._computed(method, structural)
            if isinstance(basis, Sparse | Kept):
                stored.write(file, basis.stored())
        return _ready(basis)

    def _computed(self, method: Method, structural: dict[str, Any], keep: bool = True) -> Basis:
        basis: Basis = method.build(self._tensors, **structural)
        if keep and isinstance(basis, LowRank):
            return basis.factored()
        return basis.materialise() if keep and isinstance(basis, Computed) else basis

    def _read(
        self, stored: Stored, file: Path, method: Method, structural: dict[str, Any]
    ) -> Sparse | Kept | None:
        found = stored.read(file, self._tensors.tick)
        if found is None:
            return None
        try:
            if method.matrices:
                return Kept.restored(method.build(self._tensors, **structural), found)
            return Sparse.restored(self._tensors, found)
        except (KeyError, ValueError, RuntimeError) as error:
            log.warning("%s is of something else (%s) and will be rebuilt", file, error)
            return None

    @cached_property
    def _stored(self) -> Stored | None:
        if self._workspace is None:
            return None
        family = self._tensors.family
        fingerprint = family_fingerprint(family, self._workspace, self._tensors.tick)
        return Stored(self._workspace, (fingerprint, *family.experts), self._tensors.device)

    def _free(self) -> int:
        """Bytes that can be taken now where the bases lie."""
        device = self._tensors.device
        return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()

    def _fits(self) -> bool:
        """Whether one more basis can be made, if all others are given up for it."""
        needed = basis_bytes(self._tensors.family)
        there = self._free() + sum(getattr(each, "bytes", 0) for each in self._kept.values())
        if needed > there:
            log.warning("a basis may take %d bytes of %d: computed at every move", needed, there)
        return needed <= there

    def _drop(self) -> None:
        """Forget the least recently used beyond the share of memory; never the last one."""
        sizes = {key: getattr(basis, "bytes", 0) for key, basis in self._kept.items()}
        used = sum(sizes.values())
        limit = (self._free() + used) // SHARE
        for key in list(self._kept)[:-1]:
            if used <= limit:
                break
            used -= sizes[key]
            del self._kept[key]


def _ready(basis: Basis) -> Basis:
    """The basis as moves use it."""
    if isinstance(basis, Kept):
        basis.multiply()
    return basis


def _is_ours(method: Method) -> bool:
    """Whether its code is part of what a stored basis is known by."""
    return method.build.__module__.startswith("engine.merging.")
