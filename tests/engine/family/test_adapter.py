from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import BadInput
from engine.family.checkpoint import open_checkpoint
from tests.families import FamilyFiles


def edit(place: Path, **changes: Any) -> None:
    file = place / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def change(place: Path, **tensors: torch.Tensor | None) -> None:
    """Put tensors into an adapter's file, or take them out."""
    file = place / "adapter_model.safetensors"
    kept = {**load_file(file), **tensors}
    save_file({name: each for name, each in kept.items() if each is not None}, file)


def refused(place: Path, *expected: str) -> None:
    with pytest.raises(BadInput) as caught:
        open_checkpoint(place, "terse")
    for each in expected:
        assert each in str(caught.value)
    assert all(problem.fix for problem in caught.value.problems)


def test_plain_and_rank_stabilised_scale(pristine: FamilyFiles) -> None:
    terse = open_checkpoint(pristine.experts["terse"]).adapter
    formal = open_checkpoint(pristine.experts["formal"]).adapter
    assert terse is not None and formal is not None
    assert {pair.scale for pair in terse.pairs.values()} == {2.0}
    assert {pair.scale for pair in formal.pairs.values()} == {2 / math.sqrt(2)}
    name = "model.layers.0.mlp.up_proj.weight"
    assert terse.pairs[name].shape == (96, 48) and terse.pairs[name].rank == 4
    assert len(terse.modules) == len(terse.pairs) == 12 and not terse.whole and not terse.tokens


def test_what_makes_a_lora_more_than_factors(files: FamilyFiles) -> None:
    """By its configuration or by its tensors: then peft has to merge it."""
    place, base = files.experts["terse"], "base_model.model.model"
    edit(place, use_dora=True)
    refused(place, "lora_magnitude_vector is missing")
    edit(place, use_dora=False)
    assert open_checkpoint(place).kind == "lora"
    change(place, **{f"{base}.embed_tokens.weight": torch.ones(4, 4)})
    found = open_checkpoint(place)
    assert found.kind == "adapter" and found.adapter is not None and found.rows == 4
    assert [*found.adapter.whole] == ["model.embed_tokens.weight"] and not found.adapter.plain
    assert found.is_adapter and found.adapter.label == "LoRA with more"


def test_tensors_that_peft_does_not_know(files: FamilyFiles) -> None:
    place, base = files.experts["terse"], "base_model.model.model"
    change(place, **{f"{base}.layers.0.self_attn.q_proj.lora_A.a.b.weight": torch.ones(4, 4)})
    refused(place, "lora_A.a.b.weight", "not a tensor that peft saves for LORA")
    change(place, **{f"{base}.layers.0.self_attn.q_proj.lora_A.a.b.weight": None})
    change(place, **{f"{base}.layers.0.self_attn.q_proj.lora_B.bias": torch.ones(48)})
    refused(place, "lora_B.bias", "lora_bias is off")


def test_one_tensor_under_two_spellings(files: FamilyFiles) -> None:
    place, name = files.experts["terse"], "model.layers.0.self_attn.q_proj.lora_A.weight"
    stored = load_file(place / "adapter_model.safetensors")[f"base_model.model.{name}"]
    change(place, **{name: stored})
    assert open_checkpoint(place).kind == "lora"
    change(place, **{name: stored + 1})
    refused(place, f"tensor {name}", "are the same tensor of the model with different values")


def test_two_adapters_in_one_file(files: FamilyFiles) -> None:
    place = files.experts["terse"]
    file = place / "adapter_model.safetensors"
    stored = load_file(file)
    both = {k.replace(".weight", f".{name}.weight"): v for k, v in stored.items() for name in "ab"}
    save_file({k: v.clone() for k, v in both.items()}, file)
    refused(place, "it holds several adapters: a, b")


def test_factors_that_do_not_fit(files: FamilyFiles) -> None:
    place = files.experts["terse"]
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    change(place, **{f"{module}.lora_B.weight": None})
    refused(place, "layers.0.self_attn.q_proj", "lora_B is missing")
    change(place, **{f"{module}.lora_B.weight": torch.ones(48, 3)})
    refused(place, "A is F32 [4, 48] and B is F32 [48, 3]")
    shutil.copy(
        files.experts["formal"] / "adapter_model.safetensors", place / "adapter_model.safetensors"
    )
    refused(place, "its rank is 2 but adapter_config.json says 4")


def test_an_empty_file(files: FamilyFiles) -> None:
    place = files.experts["terse"]
    save_file({}, place / "adapter_model.safetensors")
    refused(place, "it holds no tensors")
