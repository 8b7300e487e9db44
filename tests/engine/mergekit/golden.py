"""mergekit's own outputs, and what they were made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.mergekit.method import MERGES, Inputs, Part

PUBLISHED = Path(__file__).parents[2] / "golden" / "merging"
MADE = Path(__file__).parents[2] / "golden" / "mergekit"
EXPERTS = ("expert_a", "expert_b", "expert_c")
EXACT = 1e-6  # of a tensor's largest value


def close(got: Tensor, wanted: Tensor) -> bool:
    """Whether a tensor is mergekit's: one type, one shape, values to 1e-6 of the largest."""
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        return False
    if not wanted.numel():
        return True
    got, wanted = got.double(), wanted.double()
    return bool((got - wanted).abs().max() <= EXACT * wanted.abs().max())


def published() -> dict[str, dict[str, Tensor]]:
    """Model -> tensor's name -> tensor, of the reference inputs."""
    models: dict[str, dict[str, Tensor]] = {}
    with np.load(PUBLISHED / "inputs.npz") as stored:
        for key in stored.files:
            model, _, tensor = key.partition("/")
            models.setdefault(model, {})[tensor] = torch.from_numpy(stored[key])
    return models


def outputs(case: str) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of one file of reference outputs."""
    with np.load(PUBLISHED / f"mergekit_0.1.5_{case}.npz") as stored:
        for key in stored.files:
            yield key, torch.from_numpy(stored[key])


def of_published(name: str, each: Sequence[Mapping[str, Any]], **values: Any) -> Inputs:
    """One tensor of the reference inputs: the base and its three experts."""
    models = published()
    parts = [Part(models[x][name], y) for x, y in zip(EXPERTS, each, strict=True)]
    return Inputs(name, models["base"][name], parts, values)


def merged(
    method: str,
    base: Tensor | None,
    *models: tuple[Tensor, Mapping[str, Any]],
    dtype: torch.dtype | None = None,
    **values: Any,
) -> Tensor:
    """One tensor merged by mergekit's method of that name."""
    parts = [Part(tensor, own) for tensor, own in models]
    return MERGES[method](Inputs("tensor", base, parts, values), dtype)
