"""Settings that differ are told, and spellings that mean the same are not."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.compose import Composer
from engine.errors import BadInput
from engine.family.checkpoint import Checkpoint
from engine.family.compatibility import open_family
from engine.family.config_types import special_floats
from engine.family.settings import compare_config
from engine.recipe import Recipe
from engine.study import FamilySpec
from tests import classes, oracle
from tests.families import FamilyFiles


def notes(base: dict[str, Any], expert: dict[str, Any]) -> list[str]:
    models = [
        Checkpoint(Path(name), name, config, {}, "full")
        for name, config in (("base", base), ("helpful", expert))
    ]
    return compare_config(*models)


def told(base: dict[str, Any], expert: dict[str, Any]) -> str:
    (note,) = notes(base, expert)
    assert note.startswith("helpful: ")
    return note


LLAMA = {"model_type": "llama", "rms_norm_eps": 1e-6, "rope_theta": 10000.0}
SCALED = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}  # fmt: skip


@pytest.mark.parametrize(
    ("model_type", "change", "said"),
    [
        ("llama", {"rms_norm_eps": 1e-5}, "rms_norm_eps is 1e-05 (base: 1e-06)"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act is gelu (base: silu)"),
        ("llama", {"attention_bias": True}, "attention_bias is True"),
        ("llama", {"rope_scaling": SCALED}, "rope_type is llama3 (base: default)"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope factor is 2.0"),
        ("llama", {"rope_theta": 5e5}, "rope_theta is 500000.0 (base: 10000.0)"),
        ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 7.0}}, "theta is 7.0"),
        ("mistral", {"sliding_window": None}, "sliding_window is None (base: 4096)"),
        ("gemma2", {"final_logit_softcapping": 50.0}, "final_logit_softcapping is 50.0"),
        ("gemma2", {"query_pre_attn_scalar": 224}, "query_pre_attn_scalar is 224"),
        ("granite", {"attention_multiplier": 0.5}, "attention_multiplier is 0.5"),
        ("granite", {"logits_scaling": 8.0}, "logits_scaling is 8.0"),
        ("gpt2", {"layer_norm_epsilon": 1e-3}, "layer_norm_epsilon is 0.001"),
        ("gpt_neox", {"rotary_pct": 0.5}, "rope partial_rotary_factor is 0.5"),
        ("gemma3_text", {"rope_local_base_freq": 500.0}, "of sliding_attention is 500.0"),
        ("gemma3", {"text_config": {"model_type": "gemma3_text", "sliding_window": 9}},
         "text_config.sliding_window is 9"),
        ("of_nobody", {"clip": 3.0}, "clip is 3.0 (base: not set)"),
    ],
)  # fmt: skip
def test_what_a_forward_pass_depends_on_is_told(
    model_type: str, change: dict[str, Any], said: str
) -> None:
    base: dict[str, Any] = {"model_type": model_type}
    if "text_config" in change:
        base["text_config"] = {"model_type": change["text_config"]["model_type"]}
    assert said in told(base, base | change)


@pytest.mark.parametrize(
    ("base", "expert"),
    [
        (LLAMA, LLAMA | {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}),
        (
            LLAMA | {"rope_theta": 5e5, "rope_scaling": SCALED},
            {"model_type": "llama", "rope_parameters": SCALED | {"rope_theta": 500000}},
        ),
        (
            {"model_type": "gemma3_text", "rope_theta": 1e6, "rope_local_base_freq": 1e4,
             "rope_scaling": {"factor": 8.0, "rope_type": "linear"}},
            {"model_type": "gemma3_text", "rope_parameters": {
                "full_attention": {"factor": 8.0, "rope_type": "linear", "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}},
        ),
        (
            {"model_type": "gpt_neox", "rotary_pct": 0.25, "rotary_emb_base": 10000},
            {"model_type": "gpt_neox", "rope_parameters": {
                "rope_type": "default", "rope_theta": 10000, "partial_rotary_factor": 0.25}},
        ),
        (LLAMA | {"torch_dtype": "bfloat16"}, LLAMA | {"dtype": "float32"}),
        (LLAMA | {"attention_dropout": 0.1, "use_cache": False}, LLAMA | {"bos_token_id": 7}),
        (LLAMA, LLAMA | {"unsloth_version": "2", "temperature": 0.3, "seen_before": True}),
        ({"model_type": "gpt2", "n_positions": 64}, {"model_type": "gpt2",
         "max_position_embeddings": 64}),
    ],
)  # fmt: skip
def test_spellings_that_mean_the_same(base: dict[str, Any], expert: dict[str, Any]) -> None:
    assert notes(base, expert) == notes(expert, base) == []


def test_a_configuration_written_out_is_the_default_of_its_class() -> None:
    import transformers
    from transformers import CONFIG_MAPPING

    transformers.logging.set_verbosity_error()
    seen = 0
    for model_type in classes.known():
        if not classes.of_configuration(model_type):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = json.loads(CONFIG_MAPPING[model_type]().to_json_string(use_diff=False))
            whole = special_floats(whole)
        whole["model_type"] = model_type  # a few classes go by two names
        found = notes({"model_type": model_type}, whole)
        assert found == notes(whole, {"model_type": model_type}) == [], model_type
        seen += 1
    assert seen > 250


def test_sizes_that_differ_are_no_notes() -> None:
    with pytest.raises(BadInput, match="hidden_size is 8 where base has 4"):
        notes(LLAMA | {"hidden_size": 4}, LLAMA | {"hidden_size": 8})
    many = {"model_type": "gemma3n_text", "intermediate_size": [64, 64]}
    assert notes(many, many | {"intermediate_size": 64}) == []


def test_a_merged_model_follows_base_and_an_expert_itself(files: FamilyFiles) -> None:
    config = files.experts["padded"] / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"rms_norm_eps": 0.5}))
    family = open_family(FamilySpec(files.base, {"padded": files.experts["padded"]}))
    (note,) = family.notes
    assert "rms_norm_eps is 0.5 (base: 1e-06); merged models use base's settings" in note
    composer = Composer(family, device="cpu", compute_dtype="float32")
    ids = torch.tensor([[0, 70, 71, 90]])
    expert = oracle.load(files.experts["padded"])
    alone = composer.compose(Recipe("single", {}, {"model": "padded"})).modules[0]
    with torch.no_grad():
        torch.testing.assert_close(alone(ids).logits, expert(ids).logits, rtol=0, atol=1e-5)
        for norm in (each for name, each in expert.named_modules() if name.endswith("norm")):
            norm.variance_epsilon = 1e-6
        merged = composer.compose(
            Recipe("task_arithmetic", {"padded": 1.0}, {"strength": 1.0})
        ).modules[0]
        torch.testing.assert_close(merged(ids).logits, expert(ids).logits, rtol=0, atol=2e-5)
