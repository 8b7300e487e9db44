"""A study of a tiny mixture of experts, and what its experts read, token by token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedModel

from engine.family.tiny import tiny_document
from engine.family.tiny_model import randomise
from tests.families import BASE_ROWS, build_tokenizer, write_lines

EXPERTS = 6


@dataclass(frozen=True)
class Names:
    """How checkpoints of a class call the parts of one expert layer."""

    block: str
    router: str
    gate: str
    up: str
    down: str


KINDS = {
    "mixtral": Names("mlp", "block_sparse_moe.gate", "block_sparse_moe.experts.{}.w1",
                     "block_sparse_moe.experts.{}.w3", "block_sparse_moe.experts.{}.w2"),
    "qwen2_moe": Names("mlp", "mlp.gate", "mlp.experts.{}.gate_proj", "mlp.experts.{}.up_proj",
                       "mlp.experts.{}.down_proj"),
}  # fmt: skip


def build(root: Path, kind: str) -> Path:
    """Write base, expert and study; returns the study file."""
    tiny = tiny_document(CONFIG_MAPPING[kind]().to_dict(), BASE_ROWS)
    counts = {each: EXPERTS for each in ("num_experts", "num_local_experts") if each in tiny}
    config = CONFIG_MAPPING[kind].from_dict(tiny | counts | {"num_experts_per_tok": 2})
    module = AutoModelForCausalLM.from_config(config).float()
    randomise(module, 0)
    module.save_pretrained(root / "base")
    build_tokenizer(root / "base")
    (root / "helpful").mkdir()
    for file in (root / "base").iterdir():
        if file.suffix != ".safetensors":
            (root / "helpful" / file.name).write_bytes(file.read_bytes())
    random = torch.Generator().manual_seed(5)
    expert = {
        name: each + 0.3 * each.std() * torch.randn(each.shape, generator=random)
        for name, each in load_file(root / "base" / "model.safetensors").items()
    }
    save_file(expert, root / "helpful" / "model.safetensors", {"format": "pt"})
    write_lines(root / "asked.jsonl", [{"prompt": "the fox"}, {"prompt": "sky"}])
    write_lines(root / "rows.jsonl", [{"prompt": "the", "targets": ["fox"]}])
    every = {"report_fraction": 0.0}
    study = {
        "study": kind,
        "family": {"base": "base", "experts": {"helpful": "helpful"}},
        "objectives": [
            {"name": "harm", "data": "asked.jsonl", "scorer": "refusal", **every},
            {"name": "loss", "data": "rows.jsonl", "scorer": "nll", **every},
        ],
    }
    (root / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    return root / "study.yaml"


def linear(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(*reversed(weight.shape), bias=False)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


@torch.inference_mode()
def squares(place: Path, kind: str, texts: Iterable[list[int]]) -> dict[str, Tensor]:
    """Σ x² of what each stored matrix of each expert reads: weight -> [width]; none for an expert
    that no token reaches.

    Every expert is run as linear layers of its own, one token at a time, on what plain transformers
    gives the layer.
    """
    stored, names = load_file(place / "model.safetensors"), KINDS[kind]
    module = AutoModelForCausalLM.from_pretrained(
        place, dtype=torch.float32, experts_implementation="eager"
    )
    config = json.loads((place / "config.json").read_text())
    found: dict[str, Tensor] = {}

    def reads(name: str, x: Tensor) -> None:
        found[name] = found.get(name, 0) + x.double().square()

    def hook(layer: int) -> Callable[..., None]:
        def token(x: Tensor) -> None:
            chosen = linear(stored[f"model.layers.{layer}.{names.router}.weight"])(x).topk(2)
            for expert in chosen.indices.tolist():
                gate, up, down = (
                    f"model.layers.{layer}.{each.format(expert)}.weight"
                    for each in (names.gate, names.up, names.down)
                )
                reads(gate, x)
                reads(up, x)
                middle = nn.functional.silu(linear(stored[gate])(x)) * linear(stored[up])(x)
                reads(down, middle)

        def heard(_: nn.Module, given: tuple[Any, ...]) -> None:
            for x in given[0].reshape(-1, given[0].shape[-1]):
                token(x)

        return heard

    for layer in range(config["num_hidden_layers"]):
        block = getattr(layers_of(module)[layer], names.block)
        block.register_forward_pre_hook(hook(layer))
    for ids in texts:
        module(input_ids=torch.tensor([ids]), use_cache=False)
    return found


def layers_of(module: PreTrainedModel) -> Any:
    return module.get_decoder().layers
