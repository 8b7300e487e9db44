"""Which tensors lie in which band of layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.family.compatibility import Family, open_family
from engine.family.depth import Depth, depth_of, layers_of
from engine.study import FamilySpec
from tests.families import BASE_ROWS, SMALL, llama_config, llama_weights, write_model

BLOCK = "model.layers.{}.mlp.experts.{}.w1.weight"


def depth(layers: int = 4) -> Depth:
    return depth_of([BLOCK.format(layer, 7) for layer in range(layers)])


def test_layers_count_once_whatever_else_is_numbered() -> None:
    found = depth()
    assert found == Depth(4)
    assert [found.band(BLOCK.format(layer, 99), 2) for layer in range(4)] == [1, 1, 2, 2]


def test_how_many_layers_names_are_in() -> None:
    assert layers_of([BLOCK.format(2, 9), "lm_head.weight", BLOCK.format(0, 5)]) == 3
    assert layers_of(["lm_head.weight"]) == 0


@pytest.mark.parametrize(
    "name",
    [
        "model.embed_tokens.weight", "transformer.wte.weight", "transformer.wpe.weight",
        "gpt_neox.embed_in.weight", "transformer.word_embeddings_layernorm.bias",
        "model.decoder.embed_positions.weight", "model.decoder.project_in.weight",
        "backbone.embeddings.weight", "model.per_layer_model_projection.weight",
    ],
)  # fmt: skip
def test_what_comes_before_the_layers_is_in_the_first_band(name: str) -> None:
    assert depth().band(name, 3) == 1


@pytest.mark.parametrize(
    "name",
    [
        "model.norm.weight", "lm_head.weight", "transformer.ln_f.bias", "embed_out.weight",
        "model.decoder.final_layer_norm.weight", "model.embedding_norm.weight",
        "model.decoder.project_out.weight", "backbone.norm_f.weight",
    ],
)  # fmt: skip
def test_what_comes_after_the_layers_is_in_the_last_band(name: str) -> None:
    assert depth().band(name, 3) == 3


def test_layers_that_cannot_be_told() -> None:
    assert depth_of(["a.weight", "norm.weight"]).why == (
        "no name of a tensor says which layer it is in"
    )
    two = depth_of(["encoder.block.0.layer.0.q.weight", "decoder.block.0.layer.0.q.weight"])
    assert (
        two.layers == 0
        and two.why == "it has several stacks of layers (decoder.block, encoder.block)"
    )


def test_other_towers_have_layers_of_their_own() -> None:
    tower = "vision_tower.encoder.layers.23.mlp.weight"
    found = depth_of(["model.layers.0.q.weight", "model.layers.1.q.weight", tower], {tower})
    assert found.layers == 2 and found.band(tower, 2) == 1


def opened(place: Path, weights: dict[str, torch.Tensor], tied: bool) -> Family:
    write_model(place / "base", weights, llama_config(SMALL, BASE_ROWS, tied))
    write_model(place / "a", weights, llama_config(SMALL, BASE_ROWS, tied))
    return open_family(FamilySpec(place / "base", {"a": place / "a"}, tokenizer=""), text=False)


@pytest.mark.parametrize("stored", ["embedding", "head"])
def test_a_tied_head_is_the_embedding(tmp_path: Path, stored: str) -> None:
    weights = llama_weights(SMALL, BASE_ROWS, seed=1)
    if stored == "head":
        weights["lm_head.weight"] = weights.pop("model.embed_tokens.weight")
    family = opened(tmp_path, weights, tied=True)
    name = "lm_head.weight" if stored == "head" else "model.embed_tokens.weight"
    assert name in family.tensors and family.depth.band(name, 3) == 1
    assert family.depth.band("model.norm.weight", 3) == 3
    assert (family.names.layers, family.names.no_layers) == (3, "")


def test_a_head_of_its_own_is_in_the_last_band(tmp_path: Path) -> None:
    family = opened(tmp_path, llama_weights(SMALL, BASE_ROWS, seed=1, tied=False), tied=False)
    assert family.depth.band("lm_head.weight", 3) == 3
    assert family.depth.band("model.embed_tokens.weight", 3) == 1


def test_a_family_of_raw_weights_without_layers(tmp_path: Path) -> None:
    for name in ("base", "a"):
        save_file({"x.weight": torch.ones(2)}, tmp_path / f"{name}.safetensors")
    spec = FamilySpec(tmp_path / "base.safetensors", {"a": tmp_path / "a.safetensors"})
    names = open_family(spec, text=False).names
    assert names.layers == 0 and names.no_layers.startswith("no name of a tensor")
