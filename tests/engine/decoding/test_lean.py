"""A lean step is the module's own, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from engine.decoding.growing_cache import growing_cache
from engine.decoding.lean import CLASSES, lean_of
from engine.decoding.stage import Stage

SIZES: dict[str, Any] = {
    "vocab_size": 131, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3,
    "num_attention_heads": 4, "max_position_embeddings": 128, "initializer_range": 0.3,
    "pad_token_id": 0,
}  # fmt: skip
KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "llama": (LlamaConfig, LlamaForCausalLM, {"attention_bias": True, "mlp_bias": True}),
    "llama tied": (LlamaConfig, LlamaForCausalLM, {"tie_word_embeddings": True}),
    "llama scaled": (
        LlamaConfig,
        LlamaForCausalLM,
        {"rope_parameters": {
            "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        }},
    ),
    "mistral": (MistralConfig, MistralForCausalLM, {"sliding_window": None}),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {}),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"head_dim": 16}),
}  # fmt: skip


def made(kind: str, groups: int = 2, dtype: torch.dtype = torch.float32) -> Any:
    config, cls, more = KINDS[kind]
    torch.manual_seed(3)
    module = cls(config(**SIZES, **more, num_key_value_heads=groups)).eval()
    for each in module.modules():  # biases and norms begin as 0 and 1, which would hide a lot
        for name, parameter in each.named_parameters(recurse=False):
            if name == "bias" or parameter.dim() == 1:
                nn.init.uniform_(parameter, 0.3, 1.4)
    return module.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_cache_are_the_module_s_own(kind: str, dtype: torch.dtype) -> None:
    for groups in (2, 4):
        module = made(kind, groups, dtype)
        lean = lean_of(module)
        assert lean is not None
        for rows, padded in ((1, False), (1, True), (7, False), (7, True)):
            ids = torch.randint(3, 131, (rows, 9))
            real = torch.ones_like(ids, dtype=torch.bool)
            if padded:
                real[0, :4] = False
            places = (real.long().cumsum(-1) - 1).clamp(min=0)
            caches = growing_cache(module.config), growing_cache(module.config)
            with torch.inference_mode():
                for each in caches:
                    module(
                        input_ids=ids, attention_mask=real if padded else None,
                        position_ids=places, past_key_values=each,
                    )  # fmt: skip
                for _ in range(3):
                    more = torch.randint(3, 131, (rows, 1))
                    places = places[:, -1:] + 1
                    real = torch.cat([real, real.new_ones(rows, 1)], 1)
                    mask = real[:, None, None, :] if padded else None
                    wanted = module(
                        input_ids=more, attention_mask=mask, position_ids=places,
                        past_key_values=caches[0],
                    ).logits  # fmt: skip
                    assert torch.equal(lean(more, places, mask, caches[1]), wanted)
            for one, other in zip(caches[0].layers, caches[1].layers, strict=True):
                assert torch.equal(one.keys, other.keys)
                assert torch.equal(one.values, other.values)


def test_weights_that_are_written_in_place_are_the_ones_that_run() -> None:
    module = made("qwen3")
    stages = [Stage(module, widen=False) for _ in range(2)]
    ids, places = torch.tensor([[5, 6, 7]]), torch.arange(5)[None]
    with torch.inference_mode():
        for each in stages:
            each.run(ids, None, places[:, :3], 1)
        stages[0].run(ids[:, :1], None, places[:, :4], 1)
        stages[1].run(ids[:, :1], None, places[:, :4], 1)
        for parameter in module.parameters():
            parameter.mul_(0.75)
        found = stages[0].run(ids[:, :1], None, places, 1)
        wanted = module(
            input_ids=ids[:, :1], position_ids=places[:, 4:], past_key_values=stages[1].state
        ).logits
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("where", ["hook", "forward", "class", "rotary", "eager"])
def test_a_module_that_is_not_as_its_class_says_runs_itself(where: str) -> None:
    module = made("llama")
    layer = module.model.layers[1].mlp
    if where == "hook":
        layer.register_forward_hook(lambda *_: None)
    elif where == "forward":
        layer.down_proj.forward = lambda x: x
    elif where == "class":
        layer.up_proj = type("Adapted", (nn.Linear,), {})(48, 80)
    elif where == "rotary":
        module.model.rotary_emb.inv_freq = module.model.rotary_emb.inv_freq[:3]
    else:
        module.set_attn_implementation("eager")
    assert lean_of(module) is None


def test_a_class_of_somebody_else_is_left_alone() -> None:
    named = type("LlamaForCausalLM", (LlamaForCausalLM,), {"__module__": "somewhere.else"})
    torch.manual_seed(0)
    assert named.__name__ in CLASSES
    assert lean_of(named(LlamaConfig(**SIZES)).eval()) is None
