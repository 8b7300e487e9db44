"""Configurations shrink to tiny ones of the same structure, and build."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from engine.family.tiny import HEADS, HIDDEN, VOCABULARY, WINDOW, tiny_document
from engine.family.tiny_model import tiny_config, tiny_model


def full(kind: str, **changed: Any) -> dict[str, Any]:
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[kind](**changed).to_dict()


def test_shrinking_needs_no_torch() -> None:
    code = "import engine.family.tiny_model, sys; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_plain_decoder() -> None:
    tiny = tiny_document(full("llama", num_key_value_heads=8, max_position_embeddings=131072))
    assert (tiny["hidden_size"], tiny["num_attention_heads"]) == (HIDDEN, HEADS)
    assert tiny["num_key_value_heads"] == 2  # fewer than heads, as in the original
    assert tiny["num_hidden_layers"] == 2
    assert tiny["vocab_size"] == VOCABULARY
    assert tiny["rms_norm_eps"] == 1e-6


def test_one_layer_of_each_kind_stays_with_all_that_is_told_of_it() -> None:
    tiny = tiny_document(full("gemma4_text", num_kv_shared_layers=10))
    assert tiny["layer_types"] == [
        "sliding_attention", "full_attention", "sliding_attention", "full_attention",
    ]  # fmt: skip
    assert tiny["num_kv_shared_layers"] == 2
    assert tiny["sliding_window"] == WINDOW
    wider = tiny["per_layer_config"]
    assert set(wider) == {"01", "03"}
    assert wider["01"]["head_dim"] == 2 * tiny["head_dim"]


def test_dense_layers_before_sparse_ones() -> None:
    tiny = tiny_document(full("deepseek_v3"))
    assert tiny["first_k_dense_replace"] == 1
    assert tiny["num_hidden_layers"] == 2
    assert tiny["n_routed_experts"] == 4
    assert tiny["head_dim"] == tiny["qk_rope_head_dim"]


def test_hybrids_keep_both_kinds() -> None:
    assert tiny_document(full("qwen3_next"))["layer_types"] == [
        "linear_attention", "full_attention",
    ]  # fmt: skip
    jamba = tiny_document(full("jamba"))
    assert (jamba["attn_layer_period"], jamba["attn_layer_offset"]) == (4, 2)
    assert jamba["num_hidden_layers"] == 4
    falcon = tiny_document(full("falcon_h1"))
    assert falcon["mamba_n_heads"] * falcon["mamba_d_head"] == falcon["mamba_d_ssm"]


def test_rotary_factors_follow_the_narrower_heads() -> None:
    rope = {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "short_factor": [1.0] * 48,
        "long_factor": [2.0] * 48,
        "original_max_position_embeddings": 4096,
    }
    tiny = tiny_document(full("phi3", rope_parameters=rope))
    assert len(tiny["rope_parameters"]["short_factor"]) == tiny["hidden_size"] // HEADS // 2


def test_special_ids_stay_in_the_vocabulary() -> None:
    tiny = tiny_document(full("llama", eos_token_id=[128001, 2], pad_token_id=128004))
    assert all(0 <= each < VOCABULARY for each in (*tiny["eos_token_id"], tiny["pad_token_id"]))
    assert tiny["eos_token_id"][1] == 2


def test_a_nested_text_configuration_is_shrunk() -> None:
    tiny = tiny_document(full("llava"))
    assert tiny["text_config"]["hidden_size"] == HIDDEN
    assert tiny["vision_config"]["hidden_size"] == HIDDEN


@pytest.mark.parametrize(
    "kind",
    ["llama", "gemma4_text", "deepseek_v3", "qwen3_next", "mamba2", "zamba2", "recurrent_gemma",
     "nemotron_h", "gpt_oss", "mpt"],
)  # fmt: skip
def test_tiny_models_build_run_and_repeat(kind: str) -> None:
    config = {"model_type": kind, **full(kind)}
    model = tiny_model(config)
    assert sum(each.numel() for each in model.parameters()) < 1_000_000
    ids = torch.arange(5, 45)[None]
    logits = model(ids).logits
    assert logits.shape == (1, 40, VOCABULARY)
    assert torch.isfinite(logits).all()
    assert logits.std() > 0.05  # no constant
    again = tiny_model(config)
    assert torch.equal(logits, again(ids).logits)
    assert not torch.equal(logits, tiny_model(config, seed=1)(ids).logits)


def test_keys_that_a_configuration_leaves_out_have_the_class_default() -> None:
    config = tiny_config({"model_type": "llama", "hidden_size": 256, "num_attention_heads": 8})
    assert (config.hidden_size, config.num_hidden_layers) == (HIDDEN, 2)
