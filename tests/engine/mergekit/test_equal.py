"""Merges by YAML give what mergekit 0.1.5 gave: whole commands over tiny models."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import engine
from engine.export.mergefile import merge
from engine.mergekit.method import MERGES
from tests.engine.mergekit.cases import CASES
from tests.engine.mergekit.cases import merge as written
from tests.engine.mergekit.compared import by_token, fused, numbers
from tests.engine.mergekit.tiny import build
from tests.families import write_adapter

assert engine.merging

GOLDEN = Path(__file__).parents[2] / "golden" / "mergekit" / "merges.npz"

Kind = Callable[[str], Path]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    """Kind -> directory of its models, written when it is first asked for."""
    root = tmp_path_factory.mktemp("models")
    return lambda kind: root / kind if (root / kind).exists() else build(root, kind)


def merged(folder: Path, document: dict[str, Any], out: Path, **options: Any) -> Path:
    file = folder / f"{out.name}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    merge(file, out, workspace=out.parent / "workspace", device="cpu", **options)
    return out


@pytest.mark.parametrize("name", CASES)
def test_equals_mergekit(name: str, models: Kind, tmp_path: Path) -> None:
    kind, document = CASES[name]
    out = merged(models(kind), document, tmp_path / "out")
    state = load_file(out / "model.safetensors")
    if document.get("tokenizer_source") == "union":  # mergekit leaves the order of ids to chance
        state = by_token(state, out)
    names, found, near = numbers(fused(state))
    with np.load(GOLDEN) as stored:
        assert names == str(stored[f"{name}/names"]).split("\n")
        assert (np.abs(found - stored[f"{name}/numbers"]) <= near).all()
        config = json.loads((out / "config.json").read_text())
        layers, rows = stored[f"{name}/sizes"]
        assert (config["num_hidden_layers"], config["vocab_size"]) == (layers, rows)
    if document["merge_method"] in ("passthrough", "linear"):  # and the whole is a model
        loaded, info = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"]
        assert torch.isfinite(loaded(torch.tensor([[1, 2]])).logits).all()


def test_every_method_has_its_cases() -> None:
    """Two at least, but for what draws random masks, which mergekit draws otherwise."""
    said = [each["merge_method"] for _, each in CASES.values()]
    once = [name for name, each in MERGES.items() if not each.random and said.count(name) < 2]
    assert once == []


RANDOM = [name for name, each in MERGES.items() if each.random]


@pytest.mark.parametrize("name", RANDOM)
def test_random_masks_are_fixed(name: str, models: Kind, tmp_path: Path) -> None:
    """By model and tensor: not by the order of the models, by shards or by what else is merged."""
    given = [("a", {"weight": 0.5, "density": 0.6}), ("b", {"weight": 0.5, "density": 0.4})]
    more = {"base_model": "./base", "dtype": "float32"}
    first = merged(models("mixtral"), written(name, *given, **more), tmp_path / "one")
    wanted = load_file(first / "model.safetensors")
    other = merged(
        models("mixtral"), written(name, *given[::-1], **more), tmp_path / "two", shard=9_000
    )
    shards = sorted(other.glob("model-*.safetensors"))
    found = {key: each for file in shards for key, each in load_file(file).items()}
    assert len(shards) > 3 and found.keys() == wanted.keys()
    for key, each in wanted.items():
        assert torch.allclose(found[key], each, rtol=0, atol=2e-6), key
    base = load_file(models("mixtral") / "base/model.safetensors")
    assert not any(torch.equal(each, base[key]) for key, each in wanted.items() if each.dim() > 1)


def test_an_adapter_is_merged_into_the_base_first(models: Kind, tmp_path: Path) -> None:
    root = models("llama")
    write_adapter(root / "lora", root / "base", rank=2, alpha=4, rslora=False, seed=5)
    plain = AutoModelForCausalLM.from_pretrained(root / "base")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks for a renamed property
        whole = PeftModel.from_pretrained(plain, root / "lora").merge_and_unload().state_dict()
    based = {"base_model": "./base", "parameters": {"t": 0.3}, "dtype": "float32"}
    (root / "adapted").mkdir()
    save_file(
        {name: each.contiguous() for name, each in whole.items()},
        root / "adapted/model.safetensors",
    )
    shutil.copy(root / "base/config.json", root / "adapted/config.json")
    results = []
    for name in ("base+./lora", "lora", "adapted"):
        out = merged(root, written("slerp", (name, {}), **based), tmp_path / str(len(results)))
        results.append(load_file(out / "model.safetensors"))
    for key, wanted in results[2].items():
        assert torch.equal(results[0][key], results[1][key])
        assert torch.allclose(results[0][key], wanted, rtol=0, atol=1e-6), key
