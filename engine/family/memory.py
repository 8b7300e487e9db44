"""How much memory a family needs, from its headers, against how much there is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.counted import size_text
from engine.family.checkpoint import Checkpoint
from engine.family.compatibility import Family

if TYPE_CHECKING:
    from torch import nn

_KEPT_BITS = 33
"""Of each element of each expert in a basis that keeps all of them: one, and a float32 value."""

_TAKEN_APART = 24
"""Bytes of each element of the largest tensor, while one expert's is taken apart: float32 of it,
and of the factors of all experts, before they are turned, while and after."""

PREFIX_BYTES = 256 << 20
"""Of what models said, at most, so that a slider's move need not run them again; fixed."""

_BESIDE = 16 << 20
"""Bytes beside these: chunks, samples, buffers of files, what allocators round up."""

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


@dataclass(frozen=True)
class Way:
    """A way of mixing a family, and whether it fits in the memory there is.

    Attributes:
        what: the methods that it is of.
        text: what happens, and where it does not fit what to do.
    """

    what: str
    fits: bool
    text: str


def ways(needed: Mapping[str, int]) -> dict[str, Way]:
    """How the methods of each kind would run on a family, said beforehand.

    Args:
        needed: of `memory_needed`.

    Returns:
        direct: methods that prepare nothing; prepared: those that read the whole family first;
        logit: those that run every model.
    """
    there = needed["available_bytes"]
    free = f"{size_text(there)} is free"
    live, whole, logit = (
        Memory(needed[f"{each}_bytes"], there) for each in ("live", "weight_space", "logit_space")
    )
    streamed = (
        f"The merged model takes {size_text(live.needed)} and {free}: no mixture of weights can be "
        "evaluated here, but `merge` writes one tensor by tensor, in as much memory as --memory "
        "says."
    )
    prepared = (
        f"What such a method prepares takes up to {size_text(needed['basis_bytes'])} beside the "
        f"model, and {free}: it is computed again at every move. Task arithmetic and linear "
        "prepare nothing."
    )
    logits = (
        f"All models together take {size_text(logit.needed)} and {free}: mix fewer or smaller "
        "models."
    )
    kept = "In memory: a move only adds what was prepared."
    if not live.fits:
        prepared = streamed
    return {
        "direct": Way(
            "methods that prepare nothing",
            live.fits,
            "In memory: a move reads the models and adds." if live.fits else streamed,
        ),
        "prepared": Way(
            "methods that read the whole family first", whole.fits, kept if whole.fits else prepared
        ),
        "logit": Way(
            "methods that mix logits",
            logit.fits,
            "In memory: every model at once." if logit.fits else logits,
        ),
    }


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
        weight_space_bytes: the live merged model and the largest basis, while it is made;
        live_bytes and basis_bytes are its parts. A live model is moved into one buffer, tensor by
        tensor, when it has been loaded: the largest one is there twice. logit_space_bytes: every
        model at once, and what they said; a LoRA shares the base's tensors, any other adapter has a
        copy of them. available_bytes: what can be taken now.
    """
    extra = extra_elements(family)
    largest = max((each.count for each in family.base.tensors.values()), default=0)
    live = (family.base.parameters + extra + largest) * compute_bytes + _BESIDE
    basis = basis_bytes(family)
    logit = sum(_running(each, family.base) for each in family.models.values()) * compute_bytes
    logit += PREFIX_BYTES + _BESIDE
    return {
        "weight_space_bytes": live + basis,
        "live_bytes": live,
        "basis_bytes": basis,
        "logit_space_bytes": logit,
        "available_bytes": available_memory(),
    }


def basis_bytes(family: Family) -> int:
    """Bytes of a basis while it is made, at most: of parameters that keep every element. At their
    defaults methods keep a tenth to a fifth of that, but for those that take matrices apart."""
    counts = [family.base.tensors[name].count for name in family.tensors]
    kept = len(family.experts) * (sum(counts) + extra_elements(family)) * _KEPT_BITS // 8
    return kept + _TAKEN_APART * max(counts, default=0) + _BESIDE


def _running(model: Checkpoint, base: Checkpoint) -> int:
    """Parameters of a model that runs by itself."""
    copied = model.is_adapter and model.kind != "lora"
    return model.parameters + (base.parameters if copied else 0)


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
