"""Coefficients by depth in mergekit's YAML: read back, they are the same merge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from engine.export.gradient import gradient, interpolated
from engine.export.mergefile import merge
from engine.export.mergekit import mergekit_text, to_mergekit
from engine.family.compatibility import Family, open_family
from engine.recipe import Recipe, resolve
from engine.study import FamilySpec
from tests.families import (
    BASE_ROWS,
    SMALL,
    build_tokenizer,
    llama_config,
    llama_weights,
    write_model,
)

LAYERS = 5
SHAPE = SMALL | {"layers": LAYERS}


def family_at(place: Path, tied: bool, **config: Any) -> Family:
    for seed, name in enumerate(("base", "a", "b")):
        weights = llama_weights(SHAPE, BASE_ROWS, seed, tied)  # type: ignore[arg-type]
        settings = llama_config(SHAPE, BASE_ROWS, tied) | config  # type: ignore[arg-type]
        write_model(place / name, weights, settings)
        build_tokenizer(place / name)
    spec = FamilySpec(place / "base", {name: place / name for name in "ab"}, tokenizer="")
    return open_family(spec, text=False)


@pytest.fixture(scope="module")
def untied(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return family_at(tmp_path_factory.mktemp("untied"), tied=False)


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return family_at(tmp_path_factory.mktemp("tied"), tied=True)


@pytest.mark.parametrize("kind", ["untied", "tied"])
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(
            "task_arithmetic", {"a@1": 0.3, "a@2": -0.7, "b": 0.5}, {"groups": 2, "strength": 0.5}
        ),
        Recipe("task_arithmetic", {"a@5": 1.0, "b@2": 0.25}, {"groups": 5}),
        Recipe("linear", {"base": 0.2, "a@1": 0.6, "b@3": 3.0, "a@2": 1.5}, {"groups": 3}),
    ],
    ids=str,
)
def test_what_is_written_reads_back_as_the_same_merge(
    kind: str, recipe: Recipe, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    family: Family = request.getfixturevalue(kind)
    recipe = resolve(recipe, family.names)
    places = {name: str(each.path) for name, each in family.models.items()}
    text = to_mergekit(recipe, places, "float32", family)
    assert text is not None
    theirs, ours = tmp_path / "theirs.yaml", tmp_path / "ours.yaml"
    theirs.write_text(text, encoding="utf-8")
    models = {"base": places.pop("base"), "experts": places}
    ours.write_text(yaml.safe_dump({**models, **recipe.as_dict()}), encoding="utf-8")
    found = {}
    for file in (theirs, ours):
        merge(file, tmp_path / file.stem, workspace=tmp_path / "w", device="cpu", dtype="float32")
        found[file.stem] = load_file(tmp_path / file.stem / "model.safetensors")
    assert found["ours"].keys() == found["theirs"].keys()
    for name, each in found["ours"].items():
        assert torch.allclose(found["theirs"][name], each, rtol=0, atol=1e-6), name


def test_a_gradient_of_a_value_a_layer_and_filters_behind_the_layers(untied: Family) -> None:
    assert gradient([0.25, 1.0], untied) == [
        {"filter": "lm_head.weight", "value": 1.0},
        {"filter": "model.norm.weight", "value": 1.0},
        {"value": [0.25, 0.25, 0.25, 1.0, 1.0]},
    ]
    assert gradient([0.5, 0.5], untied) == 0.5


def test_one_value_a_layer_is_that_value_whatever_its_place_rounds_to() -> None:
    for layers in range(2, 300):
        values = [float(layer % 7) for layer in range(layers)]
        for layer, value in enumerate(values):
            place = layer / (layers - 1)
            assert interpolated(values, place) == pytest.approx(value, abs=1e-12)


def test_fewer_values_than_layers_are_a_ramp() -> None:
    assert [interpolated([0.0, 1.0], layer / 4) for layer in range(5)] == [0, 0.25, 0.5, 0.75, 1]


def test_what_a_filter_would_match_beside_it_is_not_said(untied: Family) -> None:
    """`norm.weight` alone is in the name of every layer's norms as well."""
    renamed = tuple(name.replace("model.norm.", "norm.") for name in untied.tensors)
    assert any("norm.weight" in name for name in renamed if "layers" not in name)
    layers = tuple(name.replace("layernorm", "norm") for name in renamed)
    object.__setattr__(odd := open_family(untied.spec, text=False), "tensors", layers)
    assert gradient([0.25, 1.0], odd) is None
    assert gradient([0.5, 0.5], odd) == 0.5


def test_another_number_of_layers_in_the_configuration_is_not_said(tmp_path: Path) -> None:
    family = family_at(tmp_path, tied=True)
    family.base.config["num_hidden_layers"] = 4  # type: ignore[index]
    assert gradient([0.25, 1.0], family) is None
    recipe = resolve(Recipe("task_arithmetic", {"a@1": 1.0}, {"groups": 2}), family.names)
    assert mergekit_text(recipe, family) is None
    assert mergekit_text(resolve(Recipe("task_arithmetic", {"a": 1.0}), family.names), family)


@pytest.mark.parametrize("method", ["ties", "breadcrumbs", "pcb"])
def test_methods_that_mergekit_weighs_otherwise_are_not_said_by_depth(
    method: str, untied: Family
) -> None:
    places = {name: name for name in untied.models}
    recipe = resolve(Recipe(method, {"a@1": 0.3, "b": 0.5}, {"groups": 2}), untied.names)
    assert to_mergekit(recipe, places, "float32", untied) is None
