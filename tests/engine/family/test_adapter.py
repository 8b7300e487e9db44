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
from engine.family.adapter import AdapterConfig, read_adapter
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


def test_patterns_match_as_in_peft() -> None:
    config = AdapterConfig(
        r=8,
        alpha=16,
        rank_pattern={"down_proj": 4, "layers.1.q_proj": 2},
        alpha_pattern={r"layers\.\d+\.down_proj": 2},
    )
    assert config.scale_of("model.layers.0.mlp.up_proj") == 2.0
    assert config.rank_of("model.layers.0.mlp.down_proj") == 4
    assert config.scale_of("model.layers.0.down_proj") == 0.5
    assert config.rank_of("model.layers.1.q_proj") == 2
    assert config.rank_of("model.layers.11.q_proj") == 8
    assert config.rank_of("model.layers.0.my_down_proj") == 8  # whole parts of the name only


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "replaces whole modules"),
        ({"bias": "lora_only"}, "biases"),
        ({"lora_bias": True}, "biases of their own"),
        ({"trainable_token_indices": [3]}, "rows of the embedding"),
        ({"layer_replication": [[0, 2]]}, "repeats layers"),
        ({"target_parameters": ["experts.w"]}, "raw parameters"),
        ({"alora_invocation_tokens": [1]}, "depends on the text"),
        ({"init_lora_weights": "pissa_niter_4"}, "changes the base itself"),
        ({"init_lora_weights": "olora"}, "changes the base itself"),
        ({"peft_type": "IA3"}, "'IA3'"),
        ({"r": 0}, "r is 0"),
        ({"r": True}, "r is True"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan"),
        ({"rank_pattern": {"(?i)q": 3}}, "not a regular expression"),
        ({"lora_alpha": None}, "lora_alpha is None"),
        ({"rank_pattern": {"(": 3}}, "not a regular expression"),
        ({"alpha_pattern": {"q": "x"}}, "alpha_pattern must map"),
    ],
)
def test_refuses_what_is_not_plain_lora(
    changes: dict[str, Any], expected: str, files: FamilyFiles
) -> None:
    edit(files.experts["terse"], **changes)
    refused(files.experts["terse"], expected, "adapter_config.json")


def test_all_reasons_at_once(files: FamilyFiles) -> None:
    edit(files.experts["terse"], use_dora=True, bias="all", r=-1)
    with pytest.raises(BadInput) as caught:
        read_adapter(files.experts["terse"])
    assert len(caught.value.problems) == 3


def test_harmless_initialisations_pass(files: FamilyFiles) -> None:
    for start in (True, False, "gaussian", "eva", "orthogonal"):
        edit(files.experts["terse"], init_lora_weights=start)
        assert open_checkpoint(files.experts["terse"]).kind == "lora"


def test_tensors_that_are_no_factors(files: FamilyFiles) -> None:
    place, base = files.experts["terse"], "base_model.model.model"
    change(place, **{f"{base}.embed_tokens.weight": torch.ones(4, 4)})
    refused(place, "embed_tokens.weight", "a resized vocabulary")
    vector = f"{base}.layers.0.self_attn.q_proj.lora_magnitude_vector"
    change(place, **{f"{base}.embed_tokens.weight": None, vector: torch.ones(4)})
    refused(place, "lora_magnitude_vector", "DoRA")
    change(place, **{vector: None, f"{base}.layers.0.x.bias": torch.ones(4)})
    refused(place, "layers.0.x.bias", "biases")
    change(place, **{f"{base}.layers.0.x.bias": None, "other.weight": torch.ones(4)})
    refused(place, "other.weight", "not a factor")


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
