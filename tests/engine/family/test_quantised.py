from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.errors import BadInput
from engine.family.checkpoint import Checkpoint, open_checkpoint

PLAIN = {"model.embed_tokens.weight": torch.ones(8, 4), "model.norm.weight": torch.ones(4)}


def write(place: Path, tensors: dict[str, Tensor] | None = None, **config: Any) -> Path:
    place.mkdir(exist_ok=True)
    save_file(PLAIN | (tensors or {}), place / "model.safetensors")
    document = {"model_type": "llama", "vocab_size": 8, "tie_word_embeddings": True} | config
    (place / "config.json").write_text(json.dumps(document))
    return place


def refused(place: Path, *words: str) -> None:
    with pytest.raises(BadInput) as caught:
        open_checkpoint(place, "helpful")
    assert "quantised" in str(caught.value)
    for each in words:
        assert each in str(caught.value)
    assert all(each.fix for each in caught.value.problems)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"quantization_config": {"quant_method": "gptq"}}, "gptq"),
        ({"quantization_config": {"bits": 4}}, "no method named"),
        ({"compression_config": {"format": "pack-quantized"}}, "compression_config"),
        ({"text_config": {"quantization_config": {"quant_method": "fp8"}}}, "text_config."),
        ({"quantization": "int8"}, "int8"),
    ],
)
def test_said_by_the_configuration(config: dict[str, Any], said: str, tmp_path: Path) -> None:
    refused(write(tmp_path, **config), said, "config.json")


@pytest.mark.parametrize("config", [{"quantization_config": None}, {"quantization_config": {}}])
def test_an_empty_key_says_nothing(config: dict[str, Any], tmp_path: Path) -> None:
    assert open_checkpoint(write(tmp_path, **config)).kind == "full"


@pytest.mark.parametrize(
    "name", ["quantize_config.json", "quant_config.json", "hf_quant_config.json", "qmodel.pt"]
)
def test_files_that_quantisers_leave(name: str, tmp_path: Path) -> None:
    (write(tmp_path) / name).write_text('{"bits": 4}')
    refused(tmp_path, name)


LAYER = "model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    "tensors",
    [
        {f"{LAYER}.qweight": torch.ones(2, 4, dtype=torch.int32)},
        {f"{LAYER}.weight": torch.ones(4, 4, dtype=torch.int8), f"{LAYER}.SCB": torch.ones(4)},
        {f"{LAYER}.weight": torch.ones(8, 1, dtype=torch.uint8)},
        {f"{LAYER}.weight": torch.ones(1, 8).long()},
        {f"{LAYER}.weight_packed": torch.ones(2, 4, dtype=torch.int32)},
        {"model.layers.0.mlp.experts.gate_up_proj_blocks": torch.ones(2, 3, 4).to(torch.uint8)},
        {"model.layers.0.mlp.experts.gate_up_proj_scales": torch.ones(2, 3).to(torch.uint8)},
        {f"{LAYER}.W_q": torch.ones(2, 4, dtype=torch.uint8)},
        {f"{LAYER}.weight._data": torch.ones(4, 4, dtype=torch.int8)},
        {f"{LAYER}.packed": torch.ones(4, 4, dtype=torch.uint8)},
        {f"{LAYER}.rows": torch.ones(8, 8).long()},
        {f"{LAYER}.weight": torch.ones(4, 4).to(torch.float8_e4m3fn)},
    ],
    ids=lambda tensors: next(iter(tensors)).rsplit(".", 1)[-1],
)
def test_seen_in_the_tensors(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    refused(write(tmp_path, tensors), LAYER.split(".")[1])
    raw = tmp_path / "raw.safetensors"
    save_file(PLAIN | tensors, raw)
    refused(raw, str(raw))


def test_integers_that_are_no_weights(tmp_path: Path) -> None:
    tensors = {
        "model.position_ids": torch.arange(6).reshape(1, 6),
        "model.relative_position_index": torch.arange(6).reshape(2, 3),
        "model.counter": torch.ones(2, 3).long(),
        "model.bucket_index": torch.ones(16, 16).long(),
        "norm.num_batches_tracked": torch.tensor(3),
        "h.0.attn.bias": torch.ones(1, 1, 4, 4, dtype=torch.uint8),
        "h.0.attn.mask": torch.ones(4, 4, dtype=torch.bool),
        "router.ids": torch.ones(4, dtype=torch.int32),
    }
    found: Checkpoint = open_checkpoint(write(tmp_path, tensors))
    assert tensors.keys() <= found.tensors.keys()
    assert found.weights.keys() == PLAIN.keys()
