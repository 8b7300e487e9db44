"""Tiny random models on disk for merges by YAML, the same numbers on every machine.

llama, tied, mixtral    base, a, b, c each: three layers (two of mixtral's, whose experts are
                        stored one by one), tied without an output projection; deep has two more
words                   llama models whose tokenizers have other tokens in another order
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

NAMES = ("base", "a", "b", "c", "deep")
HIDDEN, MIDDLE, ROWS = 16, 24, 32
WORDS = {
    "base": ("<s>", "</s>", "<unk>", *(f"w{i}" for i in range(20))),
    "a": ("<s>", "</s>", "<unk>", *(f"w{i}" for i in range(12)), "red", "blue"),
    "b": ("<unk>", "<s>", "</s>", *(f"w{i}" for i in reversed(range(18))), "blue", "green"),
}
WORD_ROWS = {"base": 24, "a": 17, "b": 26}


def shapes(kind: str, layers: int, rows: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes as the files have them."""
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (rows, HIDDEN)}
    for layer in range(layers):
        put = f"model.layers.{layer}."
        found[f"{put}input_layernorm.weight"] = (HIDDEN,)
        found[f"{put}post_attention_layernorm.weight"] = (HIDDEN,)
        for name, size in (("q", HIDDEN), ("k", HIDDEN // 2), ("v", HIDDEN // 2)):
            found[f"{put}self_attn.{name}_proj.weight"] = (size, HIDDEN)
        found[f"{put}self_attn.o_proj.weight"] = (HIDDEN, HIDDEN)
        if kind == "mixtral":
            found[f"{put}block_sparse_moe.gate.weight"] = (3, HIDDEN)
            for expert in range(3):
                inner = f"{put}block_sparse_moe.experts.{expert}."
                found |= {f"{inner}w1.weight": (MIDDLE, HIDDEN)}
                found |= {f"{inner}w2.weight": (HIDDEN, MIDDLE)}
                found |= {f"{inner}w3.weight": (MIDDLE, HIDDEN)}
        else:
            found |= {f"{put}mlp.gate_proj.weight": (MIDDLE, HIDDEN)}
            found |= {f"{put}mlp.up_proj.weight": (MIDDLE, HIDDEN)}
            found |= {f"{put}mlp.down_proj.weight": (HIDDEN, MIDDLE)}
    found["model.norm.weight"] = (HIDDEN,)
    if kind != "tied":
        found["lm_head.weight"] = (rows, HIDDEN)
    return found


def config(kind: str, layers: int, rows: int) -> dict[str, Any]:
    """config.json."""
    moe = kind == "mixtral"
    more = {"num_local_experts": 3, "num_experts_per_tok": 2, "sliding_window": None} if moe else {}
    return {
        "architectures": ["MixtralForCausalLM" if moe else "LlamaForCausalLM"],
        "model_type": "mixtral" if moe else "llama", "hidden_size": HIDDEN,
        "intermediate_size": MIDDLE, "num_hidden_layers": layers, "num_attention_heads": 2,
        "num_key_value_heads": 1, "vocab_size": rows, "tie_word_embeddings": kind == "tied",
        "max_position_embeddings": 64, "dtype": "float32", "bos_token_id": 0, "eos_token_id": 1,
        **more,
    }  # fmt: skip


def write_tokenizer(place: Path, tokens: Sequence[str]) -> None:
    """A tokenizer of whole words."""
    ids = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<s>", "</s>", "<unk>"])
    tokenizer.save(str(place / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
        "unk_token": "<unk>",
    }  # fmt: skip
    (place / "tokenizer_config.json").write_text(json.dumps(settings))


def build(root: Path, kind: str) -> Path:
    """Write the models of a kind under `root`/kind; returns that."""
    names = NAMES if kind != "words" else tuple(WORDS)
    for seed, name in enumerate(names):
        place = root / kind / name
        place.mkdir(parents=True)
        layers = (2 if kind == "mixtral" else 3) + 2 * (name == "deep")
        rows = WORD_ROWS[name] if kind == "words" else ROWS
        first, own = np.random.default_rng(7), np.random.default_rng(100 + seed)
        state = {}
        for tensor, shape in shapes(kind, layers, rows).items():
            alike = shape if kind != "words" or shape[0] != rows else (32, *shape[1:])
            values = first.standard_normal(alike, np.float32)[: shape[0]]
            if name != "base":
                values = values + np.float32(0.2) * own.standard_normal(shape, np.float32)
            state[tensor] = torch.from_numpy(np.ascontiguousarray(values))
        save_file(state, place / "model.safetensors", {"format": "pt"})
        (place / "config.json").write_text(json.dumps(config(kind, layers, rows)))
        tokens = WORDS[name] if kind == "words" else [f"w{i}" for i in range(ROWS)]
        write_tokenizer(place, ("<s>", "</s>", "<unk>", *tokens[3:]) if kind != "words" else tokens)
    return root / kind
