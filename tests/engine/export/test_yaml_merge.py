"""Slices of models with other numbers of layers, merged to a model that transformers loads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import engine
from engine.errors import BadInput
from engine.export.mergefile import merge
from tests.engine.mergekit.cases import merge as document
from tests.engine.mergekit.cases import source
from tests.engine.mergekit.tiny import WORDS, build
from tests.families import write_adapter

assert engine.merging

Run = Callable[..., Path]
SLIDING, FULL = "sliding_attention", "full_attention"


def stack(*given: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Layers of one model on those of another."""
    return {
        "merge_method": "passthrough",
        "slices": [{"sources": [each]} for each in given],
        **more,
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    build(root, "llama")
    build(root, "words")
    return root


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Run:
    def merged(kind: str, given: dict[str, Any], out: str = "out") -> Path:
        folder = tmp_path / kind
        if not folder.exists():
            shutil.copytree(built / kind, folder)
        (folder / "merge.yaml").write_text(yaml.safe_dump(given))
        merge(folder / "merge.yaml", folder / out, workspace=tmp_path / "w", device="cpu")
        return folder / out

    return merged


def weights(place: Path) -> dict[str, torch.Tensor]:
    return load_file(place / "model.safetensors")


def test_a_restacked_model_is_restacked(run: Run) -> None:
    first = run("words", stack(source("b", 0, 3), source("b", 1, 3)), "tall")
    given = stack(source("a", 0, 2), source("tall", 2, 5), tokenizer_source="union")
    found = weights(run("words", given))
    once = stack(source("a", 0, 2), source("b", 2, 3), source("b", 1, 3), tokenizer_source="union")
    wanted = weights(run("words", once, "once"))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], each) for name, each in wanted.items())
    out = first.parent / "out"
    assert json.loads((out / "config.json").read_text())["num_hidden_layers"] == 5
    tokens = AutoTokenizer.from_pretrained(out, local_files_only=True).get_vocab()
    assert set(WORDS["a"]) | set(WORDS["b"]) == set(tokens)
    model, info = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert model(torch.tensor([[1, len(tokens) - 1]])).logits.shape == (1, 2, len(tokens))


def test_kinds_of_layers_go_with_the_layers(run: Run, built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "llama"
    shutil.copytree(built / "llama", folder)
    kinds = {"a": [SLIDING, FULL, SLIDING], "deep": [FULL, FULL, SLIDING, SLIDING, FULL]}
    for name, layers in kinds.items():
        file = folder / name / "config.json"
        more = {"model_type": "ministral", "architectures": ["MinistralForCausalLM"]}
        more |= {"layer_types": layers, "sliding_window": 4, "head_dim": 8}
        file.write_text(json.dumps(json.loads(file.read_text()) | more))
    out = run("llama", stack(source("a", 0, 2), source("deep", 2, 5), source("deep", 1, 2)))
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.config.layer_types == [SLIDING, FULL, SLIDING, SLIDING, FULL, FULL]
    assert model.config.num_hidden_layers == len(model.model.layers) == 6
    deep = weights(folder / "deep")["model.layers.4.mlp.up_proj.weight"]
    assert torch.equal(model.model.layers[4].mlp.up_proj.weight, deep)
    file = folder / "deep/config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"layer_types": [FULL] * 3}))
    with pytest.raises(BadInput, match=r"layer_types: .*has 3 values, none of layer 3"):
        run("llama", stack(source("a", 0, 2), source("deep", 2, 5)), "short")


def test_an_adapter_has_the_layers_of_its_base(run: Run, built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "llama"
    shutil.copytree(built / "llama", folder)
    write_adapter(folder / "lora", folder / "base", rank=2, alpha=4, rslora=False, seed=5)
    based = {"base_model": "./base"}
    whole = weights(run("llama", stack(source("lora", 0, 3), **based), "whole"))
    found = weights(run("llama", stack(source("lora", 1, 3), source("deep", 3, 5), **based)))
    for layer in (1, 2):
        name = "model.layers.{}.self_attn.q_proj.weight"
        assert torch.equal(found[name.format(layer - 1)], whole[name.format(layer)])
    with pytest.raises(BadInput, match="lora has 3 layers, not 4"):
        run("llama", stack(source("lora", 0, 4), source("deep", 0, 5), **based), "no")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (document("linear", *((name, {"weight": 1}) for name in ("a", "deep"))),
         "num_hidden_layers is 5 where base has 3"),
        (document("slerp", ("deep", {}), base_model="./a", parameters={"t": 0.5}),
         "num_hidden_layers is 5 where base has 3"),
        (stack(source("deep", 0, 5), source("a", 1, 4)), r"slices\[1\].*: a has 3 layers, not 4"),
        ({"merge_method": "slerp", "base_model": "./a", "parameters": {"t": 0.5},
          "slices": [{"sources": [source("deep", 2, 5), source("a", 2, 5)]}]},
         "a has 3 layers, not 5"),
    ],
)  # fmt: skip
def test_layers_that_a_model_has_not_are_refused(run: Run, given: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        run("llama", given)


def test_a_hole_among_the_layers_is_refused(run: Run, built: Path, tmp_path: Path) -> None:
    """Only layers after a model's last may be missing."""
    folder = tmp_path / "llama"
    shutil.copytree(built / "llama", folder)
    held = weights(folder / "deep")
    del held["model.layers.1.mlp.up_proj.weight"]
    save_file(held, folder / "deep/model.safetensors", {"format": "pt"})
    for first, last in (("a", "deep"), ("deep", "a")):
        with pytest.raises(BadInput, match=r"layers\.1\.mlp\.up_proj\.weight .*(missing|not in)"):
            run("llama", stack(source(first, 0, 1), source(last, 0, 1)))
