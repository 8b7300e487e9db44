"""The published inputs as raw state dicts, and a family small enough to check by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.family.compatibility import open_family
from engine.merging.basis import Tensors
from engine.study import FamilySpec

GOLDEN = Path(__file__).parents[2] / "golden" / "merging"
EXPERTS = ("expert_a", "expert_b", "expert_c")


def raw_tensors(folder: Path, models: Mapping[str, Mapping[str, torch.Tensor]]) -> Tensors:
    """Tensors over raw state dicts written to `folder`; the first is the base."""
    for name, state in models.items():
        state = {key: value.contiguous() for key, value in state.items()}
        save_file(state, folder / f"{name}.safetensors")
    base, *experts = models
    spec = FamilySpec(
        folder / f"{base}.safetensors", {name: folder / f"{name}.safetensors" for name in experts}
    )
    return Tensors(open_family(spec, text=False))


@pytest.fixture
def make(tmp_path: Path) -> Callable[[Mapping[str, Mapping[str, torch.Tensor]]], Tensors]:
    return lambda models: raw_tensors(tmp_path, models)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Tensors:
    """Base and three experts of the reference vectors."""
    models: dict[str, dict[str, torch.Tensor]] = {"base": {}, **{name: {} for name in EXPERTS}}
    with np.load(GOLDEN / "inputs.npz") as stored:
        for key in stored.files:
            model, _, tensor = key.partition("/")
            models[model][tensor] = torch.from_numpy(stored[key])
    return raw_tensors(tmp_path_factory.mktemp("published"), models)
