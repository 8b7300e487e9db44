"""Adapters of every kind on one small base, trained by nothing and saved by peft itself.

base = build_base(root)                     a Llama with biases, in bfloat16, with a tokenizer
place = write(base, root / "dora", "DoRA")  one of KINDS, its parameters drawn from a seed
live, merged = by_peft(base, place)         the right values: peft loads, runs and merges it
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peft
import torch
from peft import PeftModel, get_peft_model
from safetensors import safe_open
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from tests.families import BASE_ROWS, build_tokenizer

ROWS = BASE_ROWS
MORE = 310
"""Rows of a vocabulary that an adapter resized."""

ATTENTION = ["q_proj", "v_proj"]

# name -> (configuration class, its arguments); target_modules are ATTENTION where none are given
KINDS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "LoRA": ("LoraConfig", {"r": 3, "lora_alpha": 7}),
    "rsLoRA": ("LoraConfig", {"r": 4, "lora_alpha": 4, "use_rslora": True}),
    "LoRA, patterns": (
        "LoraConfig",
        {"r": 4, "rank_pattern": {"v_proj": 2}, "alpha_pattern": {"layers.0.self_attn.q_proj": 5}},
    ),
    "LoRA, one layer": ("LoraConfig", {"r": 4, "layers_to_transform": [1]}),
    "LoRA, all but": ("LoraConfig", {"r": 4, "exclude_modules": r".*layers\.0.*"}),
    "LoRA, by pattern": ("LoraConfig", {"r": 2, "target_modules": r".*\.[qk]_proj"}),
    "LoRA, drawn": ("LoraConfig", {"r": 4, "init_lora_weights": False}),
    "LoRA, embeddings": ("LoraConfig", {"r": 4, "target_modules": ["embed_tokens", "lm_head"]}),
    "DoRA": ("LoraConfig", {"r": 4, "use_dora": True}),
    "LoRA, saved head": ("LoraConfig", {"r": 4, "modules_to_save": ["lm_head"]}),
    "LoRA, saved norms": ("LoraConfig", {"r": 4, "modules_to_save": ["embed_tokens", "norm"]}),
    "LoRA, all biases": ("LoraConfig", {"r": 4, "bias": "all"}),
    "LoRA, its biases": ("LoraConfig", {"r": 4, "bias": "lora_only"}),
    "LoRA with bias": ("LoraConfig", {"r": 4, "lora_bias": True}),
    "LoRA, tokens": ("LoraConfig", {"r": 4, "trainable_token_indices": [1, 5]}),
    "LoRA, parameters": (
        "LoraConfig",
        {"r": 4, "target_modules": [], "target_parameters": ["q_proj.weight", "k_proj.weight"]},
    ),
    "LoRA, resized": ("LoraConfig", {"r": 4, "rows": MORE}),
    "LoRA, resized and saved": (
        "LoraConfig",
        {"r": 4, "rows": MORE, "modules_to_save": ["embed_tokens", "lm_head"]},
    ),
    "PiSSA": ("LoraConfig", {"r": 4, "init_lora_weights": "pissa"}),
    "OLoRA": ("LoraConfig", {"r": 4, "init_lora_weights": "olora"}),
    "KaSA": ("LoraConfig", {"r": 4, "kasa_config": {}}),
    "AdaLoRA": ("AdaLoraConfig", {"total_step": 9, "init_r": 4, "target_r": 2}),
    "BEFT": ("BeftConfig", {}),
    "BOFT": ("BOFTConfig", {"boft_block_size": 8}),
    "C3A": ("C3AConfig", {"block_size": 8}),
    "DEFT": ("DeftConfig", {}),
    "DeLoRA": ("DeloraConfig", {}),
    "FourierFT": ("FourierFTConfig", {"n_frequency": 20}),
    "FRoD": ("FrodConfig", {}),
    "GLoRA": ("GloraConfig", {}),
    "GraLoRA": ("GraloraConfig", {"r": 4, "hybrid_r": 2, "gralora_k": 2}),
    "HiRA": ("HiraConfig", {}),
    "HRA": ("HRAConfig", {}),
    "IA3": (
        "IA3Config",
        {"target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]},
    ),
    "LN tuning": ("LNTuningConfig", {"target_modules": ["input_layernorm"]}),
    "LoHa": ("LoHaConfig", {"r": 4}),
    "LoKr": ("LoKrConfig", {"r": 2, "decompose_both": True, "decompose_factor": 4}),
    "MiSS": ("MissConfig", {"r": 8}),
    "OFT": ("OFTConfig", {"oft_block_size": 8}),
    "OSF": ("OSFConfig", {"effective_rank": 8}),
    "PEANuT": ("PeanutConfig", {"depth": 3}),
    "PSOFT": ("PsoftConfig", {}),
    "PVeRA": ("PveraConfig", {}),
    "RandLoRA": ("RandLoraConfig", {}),
    "RoAd": ("RoadConfig", {"group_size": 8}),
    "SHiRA": ("ShiraConfig", {"r": 4}),
    "SuperTuning": ("SupertuningConfig", {}),
    "TinyLoRA": ("TinyLoraConfig", {}),
    "trainable tokens": (
        "TrainableTokensConfig",
        {"target_modules": ["embed_tokens"], "token_indices": [1, 3]},
    ),
    "UniLoRA": ("UniLoraConfig", {"theta_d_length": 64, "r": 4}),
    "VB-LoRA": ("VBLoRAConfig", {"vector_length": 8, "num_vectors": 16}),
    "VB-LoRA, top k": (
        "VBLoRAConfig",
        {"vector_length": 8, "num_vectors": 16, "save_only_topk_weights": True},
    ),
    "VeRA": ("VeraConfig", {}),
    "VeRA, no projection": ("VeraConfig", {"save_projection": False}),
    "WaveFT": ("WaveFTConfig", {"n_frequency": 20}),
}


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _scaled(module: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(drawn * (1.4 / parameter.shape[-1] ** 0.5))
            else:
                parameter.add_(drawn * 0.1)


def build_base(place: Path, *, tied: bool = False, seed: int = 1) -> Path:
    """A Llama with biases in attention."""
    config = LlamaConfig(
        vocab_size=ROWS, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=128,
        tie_word_embeddings=tied, attention_bias=True, bos_token_id=0, eos_token_id=4,
        pad_token_id=1,
    )  # fmt: skip
    return _save(config, place, seed)


def build_gpt2(place: Path, *, tied: bool = True, seed: int = 1) -> Path:
    """A GPT-2: layers that are Conv1D, one of them square."""
    config = GPT2Config(
        vocab_size=ROWS, n_positions=128, n_embd=32, n_layer=2, n_head=4,
        tie_word_embeddings=tied, bos_token_id=0, eos_token_id=4, pad_token_id=1,
    )  # fmt: skip
    return _save(config, place, seed)


def _save(config: Any, place: Path, seed: int) -> Path:
    with quiet():
        module = AutoModelForCausalLM.from_config(config)
        _scaled(module, seed)
        module.to(torch.bfloat16).save_pretrained(place)
    build_tokenizer(place)
    return place


def load(base: Path, rows: int = 0) -> Any:
    with quiet():
        module = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
        if rows and rows != len(module.get_input_embeddings().weight):
            module.resize_token_embeddings(rows, mean_resizing=False)
    return module


def write(
    base: Path,
    place: Path,
    kind: str,
    seed: int = 2,
    change: Callable[[dict[str, Any]], None] = lambda arguments: None,
) -> Path:
    """One adapter of a kind as peft saves it, everything that it trains moved at random."""
    name, arguments = KINDS[kind]
    arguments = {"target_modules": ATTENTION, **arguments}
    change(arguments)
    rows = arguments.pop("rows", 0)
    if "kasa_config" in arguments:
        arguments["kasa_config"] = peft.tuners.lora.config.KasaConfig()
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(seed)
        config = getattr(peft, name)(task_type="CAUSAL_LM", **arguments)
        module = get_peft_model(load(base, rows), config)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.requires_grad:
                    drawn = torch.randn(parameter.shape, generator=generator)
                    parameter.add_(drawn * 0.15)
            if rows:
                for end in (module.get_input_embeddings(), module.get_output_embeddings()):
                    end.weight[ROWS:] += 0.3
        module.save_pretrained(place)
    (place / "README.md").unlink(missing_ok=True)
    if rows:
        build_tokenizer(place)
    return place


def rows_of(place: Path) -> int:
    """Rows of the embedding that an adapter brings; 0 for none."""
    with safe_open(place / "adapter_model.safetensors", "pt") as file:
        names = [name for name in file.keys() if name.endswith("embed_tokens.weight")]  # noqa: SIM118
        return file.get_slice(names[0]).get_shape()[0] if names else 0


def under_peft(base: Path, place: Path) -> Any:
    """The base under an adapter as peft alone loads it."""
    with quiet():
        return PeftModel.from_pretrained(load(base, rows_of(place)), place).eval()


def merged_by_peft(base: Path, place: Path) -> Any:
    with quiet():
        return under_peft(base, place).merge_and_unload().eval()


@torch.no_grad()
def logits(module: Any, ids: Tensor) -> Tensor:
    with quiet():
        return module(input_ids=ids).logits[..., :ROWS].float()
