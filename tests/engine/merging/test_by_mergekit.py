"""Methods of recipes that are mergekit's, with coefficients for weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import BadInput
from engine.mergekit import MERGES
from engine.mergekit.method import Inputs, Part
from engine.merging.basis import Tensors
from engine.merging.by_mergekit import ByMergekit
from engine.recipe import METHODS, Names, Recipe, resolve

from .conftest import EXPERTS, GOLDEN

OURS = {
    "breadcrumbs_ties": {"density": 0.4, "gamma": 0.1, "normalize": True},
    "dare_linear": {"density": 0.4, "seed": 3},
    "dare_ties": {"density": 0.4, "normalize": True, "rescale": False},
    "della": {"density": 0.4, "epsilon": 0.2},
    "della_linear": {"density": 0.6, "rescale": False, "seed": 1},
    "multislerp": {},
}
COEFFICIENTS = {"expert_a": 0.3, "expert_b": 0.9, "expert_c": -0.2}

Make = Callable[[Mapping[str, Mapping[str, torch.Tensor]]], Tensors]
each_method = pytest.mark.parametrize("name", OURS)


def merged(
    tensors: Tensors, name: str, coefficients: Mapping[str, float], **parameters: Any
) -> dict[str, torch.Tensor]:
    basis = METHODS[name].build(tensors, **parameters)
    found = {tensor: torch.empty(tensors.shape(tensor)) for tensor in tensors.names}
    for tensor, out in found.items():
        basis.combine(tensor, coefficients, out)
    return found


def test_they_are_named_as_mergekits() -> None:
    built = {name for name, each in METHODS.items() if name in MERGES and "ByMergekit" in
             each.build.__code__.co_names}  # fmt: skip
    assert built == set(OURS)


@each_method
def test_a_tensor_is_what_mergekits_method_makes_of_it(published: Tensors, name: str) -> None:
    found = merged(published, name, COEFFICIENTS, **OURS[name])
    values = dict(OURS[name])
    seed = values.pop("seed", 0)
    for tensor, got in found.items():
        parts = [
            Part(
                published.read(expert, tensor),
                {**values, "weight": weight},
                lambda tensor=tensor, expert=expert: published.lots(tensor, expert, seed),
            )
            for expert, weight in COEFFICIENTS.items()
        ]
        wanted = MERGES[name](Inputs(tensor, published.read("base", tensor), parts, values))
        assert torch.equal(got, wanted), tensor


def test_the_reference_outputs_are_met(published: Tensors) -> None:
    weights = dict(zip(EXPERTS, (0.3, 0.5, 0.2), strict=True))
    found = merged(published, "breadcrumbs_ties", weights, density=0.5, gamma=0.05)
    with np.load(GOLDEN / "mergekit_0.1.5_breadcrumbs_ties.npz") as stored:
        for tensor, got in found.items():
            wanted = torch.from_numpy(stored[tensor])
            assert (got - wanted).abs().max() <= 1e-6 * wanted.abs().max(), tensor


@each_method
def test_an_expert_of_coefficient_0_takes_no_part(
    published: Tensors, name: str, make: Make
) -> None:
    some = {"expert_a": 0.3, "expert_b": 0.0, "expert_c": 0.8}
    found = merged(published, name, some, **OURS[name])
    models = {
        model: {tensor: published.read(model, tensor) for tensor in published.names}
        for model in ("base", "expert_a", "expert_c")
    }
    alone = merged(make(models), name, {"expert_a": 0.3, "expert_c": 0.8}, **OURS[name])
    if not MERGES[name].random:  # masks are of whole files, and these hold no position ids
        assert all(torch.equal(each, alone[tensor]) for tensor, each in found.items())
    assert all(each.isfinite().all() for each in found.values())


@pytest.mark.parametrize("name", ["dare_ties", "dare_linear", "della", "della_linear"])
def test_another_seed_keeps_others(published: Tensors, name: str) -> None:
    one, other = (merged(published, name, COEFFICIENTS, seed=seed) for seed in (1, 2))
    again = merged(published, name, COEFFICIENTS, seed=1)
    for tensor, each in one.items():
        assert torch.equal(each, again[tensor]) and not torch.equal(each, other[tensor])


def test_lots_are_those_of_the_chunks(published: Tensors) -> None:
    for tensor in published.names:
        chunks = [chunk.lots(5) for chunk in published.vectors(tensor)]
        for row, expert in enumerate(published.experts):
            flat = torch.cat([each[row] for each in chunks])
            assert torch.equal(published.lots(tensor, expert, 5).view(-1), flat)


@pytest.mark.parametrize("name", ["della", "della_linear"])
def test_chances_that_are_none_are_refused_with_the_recipe(name: str) -> None:
    for density, epsilon in ((0.9, 0.2), (0.1, 0.2)):
        given = {"density": density, "epsilon": epsilon}
        with pytest.raises(BadInput, match="does not lie between 0 and 1"):
            resolve(Recipe(name, {"a": 1.0}, given), Names(("a",)))
    resolve(Recipe(name, {"a": 1.0}, {"density": 1.0}), Names(("a",)))


def test_only_proportions_count_in_multislerp(published: Tensors) -> None:
    one = merged(published, "multislerp", COEFFICIENTS)
    doubled = {name: 2 * value for name, value in COEFFICIENTS.items()}
    for tensor, each in merged(published, "multislerp", doubled).items():
        assert torch.allclose(each, one[tensor], atol=1e-5)
    assert isinstance(METHODS["multislerp"].build(published), ByMergekit)
