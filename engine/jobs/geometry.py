"""The job "geometry": how far each expert moved each part of the base, and in which direction.

For each group of tensors (the embedding, each layer, the output head, the rest) it sums

    ‖θ0‖²        how large the base is there
    ⟨τ_i, τ_j⟩   of every two task vectors, [experts, experts]

from which relative norms and cosines follow for one group or for all of them together. One pass
over the files in chunks of float32, summed in float64 on the CPU: the models in use keep their
device, and memory holds one tensor of each model at a time. Rows of the vocabulary that the base
lacks have no task vector and are left out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine.decoding.inputs import Tick
from engine.errors import bad
from engine.family.ties import EMBEDDINGS, HEADS
from engine.jobs.models import Models, study_of
from engine.jobs.served import Emit
from engine.merging.basis import CHUNK, SPAN, Tensors

_LAYER = re.compile(r"\.(\d+)\.")


def group_of(name: str) -> str:
    """The group a tensor belongs to: "embedding", "layer 7", "head" or "other"."""
    if EMBEDDINGS.search(name):
        return "embedding"
    if HEADS.search(name):
        return "head"
    layer = _LAYER.search(name)
    return f"layer {int(layer[1])}" if layer else "other"


def _place(group: str) -> tuple[int, int]:
    """Where a group stands: the embedding, the layers in order, the rest, the head."""
    if group.startswith("layer "):
        return 1, int(group.removeprefix("layer "))
    return {"embedding": 0, "other": 2, "head": 3}[group], 0


def products(vectors: Tensor) -> Tensor:
    """⟨row_i, row_j⟩ of rows [n, k] of any float type, as float64 [n, n]; in cache-sized spans."""
    total = torch.zeros(len(vectors), len(vectors), dtype=torch.float64)
    for start in range(0, vectors.shape[1], SPAN):
        part = vectors[:, start : start + SPAN].double()
        total += part @ part.T
    return total


def measure_geometry(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Norms and inner products of a family's task vectors, by group; emits them as one row.

    Args:
        payload: study: path of its file.

    Returns:
        The row, of kind "geometry" and with the family's fingerprint as its id: experts: names;
        groups: names; base: ‖θ0‖² of each group; products: ⟨τ_i, τ_j⟩ of each group, lists
        [groups][experts][experts].

    Raises:
        BadInput: the study or its family cannot be used; a task vector beyond what float32 holds.
    """
    study = study_of(payload)
    with models.families.use(study.family, tick) as opened:
        emit("progress", {"done": 0, "total": len(opened.family.tensors)})
        tensors = Tensors(opened.family, "cpu", tick, models.workspace)
        base: dict[str, float] = {}
        found: dict[str, Tensor] = {}
        for done, name in enumerate(tensors.names):
            group = group_of(name)
            for theta in tensors.read("base", name).reshape(1, -1).split(CHUNK, dim=1):
                base[group] = base.get(group, 0.0) + float(products(theta))
                tick()
            for chunk in tensors.vectors(name):
                part = products(chunk.vectors)
                if not part.isfinite().all():
                    what = "a task vector exceeds the range of float32"
                    raise bad(f"tensor {name}", what, "Use another checkpoint of that expert.")
                found[group] = found[group] + part if group in found else part
            emit("progress", {"done": done + 1, "total": len(tensors.names)})
        groups = sorted(found, key=_place)
        row = {
            "kind": "geometry",
            "id": opened.fingerprint,
            "family": opened.fingerprint,
            "experts": list(tensors.experts),
            "groups": groups,
            "base": [base[group] for group in groups],
            "products": [found[group].tolist() for group in groups],
            "at": time.time(),
        }
    emit("result", {"row": row})
    return row
