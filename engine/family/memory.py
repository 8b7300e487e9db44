"""How much memory a family needs, from its headers, against how much there is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.family.checkpoint import Checkpoint
from engine.family.compatibility import Family

if TYPE_CHECKING:
    from torch import nn

# float32 copies of each task vector alive while a PCB basis is built: the vector, its scores, a
# partition of them
_BASIS_COPIES = 3
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """Bytes that something needs at its worst moment, and that there are for it."""

    needed: int
    available: int

    @property
    def fits(self) -> bool:
        return self.needed <= self.available


def available_memory() -> int:
    """Bytes that can be taken now: the system's, or what is left under this process's own limit."""
    system = _system_available()
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        if limit.isdigit():
            used = int((_CGROUP / "memory.current").read_text())
            reclaimable = dict(
                line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines()
            )
            free = int(limit) - used + int(reclaimable.get("inactive_file", 0))
            return max(0, min(system, free))
    except (OSError, ValueError):
        return system
    return system


def _system_available() -> int:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass  # not Linux: ask for the physical memory instead
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_needed(family: Family, compute_bytes: int = 4) -> dict[str, int]:
    """Bytes that a family needs, from headers alone.

    Checkpoints are mapped while they are read, so they need no memory of their own.

    Args:
        compute_bytes: bytes of one number where models run: 4 in float32, 2 in bfloat16.

    Returns:
        weight_space_bytes: the live merged model and a PCB basis with nothing zero, at its worst
        moment; live_bytes and basis_bytes are its parts. logit_space_bytes: every model at once, an
        adapter with a copy of the base. available_bytes: what can be taken now.
    """
    extra = extra_elements(family)
    live = (family.base.parameters + extra) * compute_bytes
    merged = sum(family.base.tensors[name].count for name in family.tensors) + extra
    basis = len(family.experts) * merged * 4 * _BASIS_COPIES
    logit = sum(_running(each, family.base) for each in family.models.values()) * compute_bytes
    return {
        "weight_space_bytes": live + basis,
        "live_bytes": live,
        "basis_bytes": basis,
        "logit_space_bytes": logit,
        "available_bytes": available_memory(),
    }


def _running(model: Checkpoint, base: Checkpoint) -> int:
    """Parameters of a model that runs by itself."""
    return model.parameters + (base.parameters if model.is_adapter else 0)


def running_elements(model: Checkpoint, module: nn.Module) -> int:
    """Parameters of a module that runs a model: those stored, with what adapters add."""
    if model.kind == "full":
        return model.parameters
    return sum(each.numel() for each in module.parameters())


def extra_elements(family: Family) -> int:
    """Elements of the vocabulary rows that the base lacks."""
    total = 0
    for name, plan in family.vocabulary_tensors.items():
        info = family.base.tensors[name]
        total += (plan.merged - plan.common) * (info.count // max(1, info.shape[0]))
    return total
