"""Families open in the engine: checked, fingerprinted and with a composer; a few at a time.

A job looks up its study's family and reuses it as long as no file of the family has changed. Two
stay open if memory allows, so that a page and a sweep on different families do not reload them in
turns.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.compose import Composer
from engine.decoding.inputs import Tick
from engine.decoding.opening import feedings
from engine.family.compatibility import Family, open_family
from engine.family.fingerprint import fingerprint_of, fingerprints
from engine.family.memory import memory_needed
from engine.family.proven_text import is_proven, remember
from engine.jobs.beside import beside
from engine.jobs.imports import fetch_model_classes
from engine.study import FamilySpec

log = logging.getLogger(__name__)

KEPT = 2

Signature = tuple[tuple[str, int, int, int], ...]


def signature(spec: FamilySpec) -> Signature:
    """Path, size, mtime and inode of every file of a family's directories, and of its templates;
    misses nothing that a copy, an editor or a training run does to them."""
    files = [each.template for each in spec.templates.values() if each.template is not None]
    for name in spec.names.models:
        place = spec.path_of(name)
        for directory, _, names in os.walk(place) if place.is_dir() else ():
            files += [Path(directory) / each for each in names]
    found = []
    for path in files:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        found.append((str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return tuple(sorted(found))


@dataclass(eq=False)
class OpenFamily:
    """One family, ready to compose on.

    Attributes:
        fingerprint: of the family; part of a point's id.
        models: fingerprint of each model by name.
        memory: bytes that it needs and that there were when it was opened, of `memory_needed`.
        parked_seconds: time that other jobs took while one on this family was parked, so far.
    """

    family: Family
    fingerprint: str
    models: Mapping[str, str]
    composer: Composer
    signature: Signature
    memory: Mapping[str, int]
    parked_seconds: float = 0.0

    @property
    def tokenizer_hash(self) -> str:
        return "" if self.family.tokenizer is None else self.family.tokenizer.hash


class OpenFamilies:
    """Opens families and forgets the least recently used."""

    def __init__(self, workspace: Path, device: str, compute_dtype: str | None) -> None:
        self._workspace = workspace
        self._device = device
        self._compute_dtype = compute_dtype
        self._open: OrderedDict[FamilySpec, OpenFamily] = OrderedDict()
        self._in_use: list[OpenFamily] = []

    @contextmanager
    def use(self, spec: FamilySpec, tick: Tick) -> Iterator[OpenFamily]:
        """The family of a spec, kept open at least until the block ends.

        Raises:
            IncompatibleFamily: its models do not fit together.
            BadInput: a class that cannot be run exactly; weights that are not finite; a device or
                dtype that is not there.
        """
        opened = self._find(spec, tick)
        self._in_use.append(opened)
        try:
            yield opened
        finally:
            self._in_use.pop()

    def park(self) -> Callable[[], None]:
        """Remember what is live in every family in use; the function returned puts it back."""
        start = time.perf_counter()
        live = {each: each.composer.live for each in self._in_use}

        def put_back() -> None:
            for opened, model in live.items():
                opened.composer.restore(model)
                opened.parked_seconds += time.perf_counter() - start

        return put_back

    def close(self) -> None:
        self._open.clear()
        gc.collect()

    def _find(self, spec: FamilySpec, tick: Tick) -> OpenFamily:
        now = signature(spec)
        known = self._open.get(spec)
        if known is not None and known.signature == now:
            self._open.move_to_end(spec)
            return known
        if known is not None:
            log.warning("files of the family of %s changed; reopening it", spec.base)
            del self._open[spec]
        family = open_family(spec)
        feedings(family, self._workspace)  # refuses before anything is read
        with beside(partial(fingerprints, family, self._workspace)) as hashing:
            composer = self._composer(family)
            models = hashing.result(tick)
        memory = memory_needed(family, composer.dtype.itemsize)  # before any of it is taken
        fingerprint = fingerprint_of(family, models)
        opened = OpenFamily(family, fingerprint, models, composer, now, memory)
        self._open[spec] = opened
        return opened

    def _composer(self, family: Family) -> Composer:
        """A composer, once there is room for its models."""
        idle = [spec for spec, each in self._open.items() if each not in self._in_use]
        while idle and (len(self._open) >= KEPT or not self._has_room(family)):
            del self._open[idle.pop(0)]
            gc.collect()
        composer = Composer(
            family,
            device=self._device,
            compute_dtype=self._compute_dtype,
            workspace=self._workspace,
        )
        if not is_proven(family, self._workspace):
            fetch_model_classes()
            assert composer.text  # refuses before anything is said to be open
            remember(family, self._workspace)
        return composer

    def _has_room(self, family: Family) -> bool:
        needed = memory_needed(family)
        return needed["live_bytes"] + needed["basis_bytes"] < needed["available_bytes"]
