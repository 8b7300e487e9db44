"""Tiny models and a stand-in for a composed model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from engine.decoding.fusion import Mixture

GOLDEN = Path(__file__).parents[2] / "golden" / "decoding"
SIZE = {
    "vocab_size": 128, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
    "initializer_range": 0.4, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Runs:
    """The shape that the loop asks of a composed model."""

    modules: tuple[PreTrainedModel, ...]
    mixture: Mixture | None = None
    vocabulary: int | None = None
    rows: int | None = None


def build(kind: str, seed: int, **changes: Any) -> PreTrainedModel:
    torch.manual_seed(seed)
    size = {**SIZE, **changes}
    if kind == "llama":
        model = LlamaForCausalLM(LlamaConfig(**size))
    elif kind == "mistral":
        model = MistralForCausalLM(MistralConfig(**size, sliding_window=8))
    elif kind == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**size, tie_word_embeddings=True))
    elif kind == "gemma2":
        model = Gemma2ForCausalLM(
            Gemma2Config(**size, head_dim=8, sliding_window=8, query_pre_attn_scalar=8)
        )
    else:
        config = GPT2Config(
            vocab_size=128, n_embd=32, n_layer=2, n_head=4, n_positions=128, initializer_range=0.4,
            pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )  # fmt: skip
        model = GPT2LMHeadModel(config)
    return model.eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny() -> Callable[..., PreTrainedModel]:
    """`tiny(kind, seed)`: a random model, the same object for the same arguments."""
    made: dict[Any, PreTrainedModel] = {}

    def get(kind: str = "llama", seed: int = 0, **changes: Any) -> PreTrainedModel:
        key = (kind, seed, tuple(sorted(changes.items())))
        if key not in made:
            made[key] = build(kind, seed, **changes)
        return made[key]

    return get


@pytest.fixture(scope="session")
def runs() -> type[Runs]:
    return Runs


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """`golden(name)`: the arrays of a file that the manifest lists, of the shapes it says."""
    listed = {
        each["file"]: each for each in json.loads((GOLDEN / "manifest.json").read_text())["goldens"]
    }

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / f"{name}.npz") as data:
            arrays = {key: data[key] for key in data.files}
        for key, about in listed[f"{name}.npz"]["arrays"].items():
            assert list(arrays[key].shape) == about["shape"]
        return arrays

    return read


@pytest.fixture(scope="session")
def golden_models() -> dict[str, PreTrainedModel]:
    names = ("base", "expert", "antiexpert", "expert2")
    return {
        name: AutoModelForCausalLM.from_pretrained(GOLDEN / "models" / name)
        .eval()
        .requires_grad_(False)
        for name in names
    }


@pytest.fixture(scope="session")
def prompts() -> list[list[int]]:
    """64 prompts of 1 to 40 tokens, none special."""
    source = torch.Generator().manual_seed(5)
    lengths = torch.randint(1, 41, (64,), generator=source).tolist()
    return [torch.randint(3, 128, (length,), generator=source).tolist() for length in lengths]
