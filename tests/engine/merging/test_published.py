"""Weight-space methods against the outputs of their official code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from engine.merging.basis import Basis, Elementwise, Tensors
from engine.recipe import METHODS

from .conftest import EXPERTS, GOLDEN

EXACT = 1e-6  # of the largest value; what the vectors promise is 8e-7 for PCB


def build(tensors: Tensors, method: str, **parameters: Any) -> Basis:
    return METHODS[method].build(tensors, **parameters)


def merged(basis: Basis, coefficients: Mapping[str, float]) -> dict[str, torch.Tensor]:
    found = {}
    for name in basis.tensors.names:
        found[name] = torch.empty(basis.tensors.shape(name))
        basis.combine(name, coefficients, found[name])
    return found


def weights(basis: Basis) -> np.ndarray:
    """W [n, d], the tensors in the order of their names."""
    assert isinstance(basis, Elementwise)
    return torch.cat([basis.weigh(chunk) for chunk in basis.tensors.chunks()], 1).numpy()


def flat(basis: Basis, coefficients: Mapping[str, float]) -> np.ndarray:
    found = merged(basis, coefficients)
    return torch.cat([found[name].reshape(-1) for name in sorted(found)]).numpy()


def relative(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize(
    ("file", "parameters", "scale"),
    [
        ("pcb_main_r0.1", {"ratio": 0.1, "variant": "main"}, 1.0),
        ("pcb_main_r0.2", {"ratio": 0.2, "variant": "main"}, 1.0),
        ("pcb_nlp_r0.1", {"ratio": 0.1, "variant": "nlp"}, 1.0),
        ("pcb_vision_main_r0.05_lam1.2", {"ratio": 0.05, "variant": "vision"}, 1.2),
    ],
)
def test_pcb_merges_as_its_official_variants(
    published: Tensors, file: str, parameters: dict[str, Any], scale: float
) -> None:
    with np.load(GOLDEN / f"{file}.npz") as stored:
        wanted = stored["merged_tv"]
    basis = build(published, "pcb", **parameters)
    assert relative((weights(basis) * np.float32(scale)).sum(0), wanted) < EXACT


def test_pcb_pairwise_has_the_official_scales(published: Tensors) -> None:
    with np.load(GOLDEN / "pcb_visionES_r0.05.npz") as stored:
        clamped, scale = stored["clamped"], stored["scale"]
    wanted = clamped * scale / np.maximum(scale.sum(0), 1e-12)
    assert (
        relative(weights(build(published, "pcb", ratio=0.05, variant="vision_es")), wanted) < EXACT
    )


def test_pcb_takes_a_coefficient_an_expert(published: Tensors) -> None:
    with np.load(GOLDEN / "pcb_main_r0.1_lam_0.2_0.5_0.9.npz") as stored:
        wanted = stored["merged_flat"]
    got = flat(build(published, "pcb"), dict(zip(EXPERTS, (0.2, 0.5, 0.9), strict=True)))
    assert relative(got, wanted) < EXACT


def test_an_expert_equal_to_the_base_has_no_say_in_pcb(make: Any) -> None:
    with np.load(GOLDEN / "inputs_flat.npz") as stored:
        base, vectors = torch.tensor(stored["base"]), torch.tensor(stored["task_vectors"])
    models = {"base": {"w": base}, "a": {"w": base + vectors[0]}, "zero": {"w": base.clone()}}
    basis = build(make(models), "pcb")
    alone = flat(basis, {"a": 0.0, "zero": 1.0})
    assert np.array_equal(alone, base.numpy())
    assert np.isfinite(flat(basis, {"a": 1.0, "zero": 1.0})).all()


def test_a_kept_basis_equals_one_computed_on_the_way(published: Tensors) -> None:
    basis = build(published, "pcb")
    assert isinstance(basis, Elementwise)
    kept = basis.materialise()
    coefficients = dict(zip(EXPERTS, (0.3, -0.7, 1.1), strict=True))
    assert np.array_equal(flat(kept, coefficients), flat(basis, coefficients))
    dense = 4 * published.size * len(EXPERTS)
    assert kept.bytes < 0.3 * dense  # about 10 % of the values, and a bit an element


def outputs(file: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{file}.npz") as stored:
        return {name: stored[name] for name in stored.files if "position_ids" not in name}


def against(basis: Basis, coefficients: Mapping[str, float], file: str) -> None:
    got = merged(basis, coefficients)
    wanted = outputs(file)
    assert set(got) == set(wanted)
    for name, tensor in wanted.items():
        assert relative(got[name].numpy(), tensor) < EXACT, name


def test_task_arithmetic_equals_mergekit(published: Tensors) -> None:
    weights = dict(zip(EXPERTS, (0.3, 0.5, 0.2), strict=True))
    against(build(published, "task_arithmetic"), weights, "mergekit_0.1.5_ta_w")


def test_linear_equals_mergekit(published: Tensors) -> None:
    weights = dict(zip(("base", *EXPERTS), (0.1, 0.3, 0.4, 0.5), strict=True))
    against(build(published, "linear"), weights, "mergekit_0.1.5_linear")


def test_linear_with_one_expert_is_wise_ft(published: Tensors) -> None:
    weights = {"base": 0.7, "expert_a": 0.3, "expert_b": 0.0, "expert_c": 0.0}
    against(build(published, "linear"), weights, "wiseft_alpha0.3")
