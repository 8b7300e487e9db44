"""A checkpoint as the few numbers of it that are kept, in mergekit's layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

KEPT = 6
"""Values kept of a tensor, evenly spaced, beside their sum."""


def fused(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors with a mixture's experts as mergekit writes them: one tensor of all."""
    found, experts = {}, {}
    for name, tensor in state.items():
        put, _, rest = name.replace("block_sparse_moe", "mlp").partition(".experts.")
        if rest.endswith(".weight"):
            experts.setdefault(put, {})[rest.removesuffix(".weight")] = tensor
        else:
            found[name.replace("block_sparse_moe", "mlp")] = tensor
    for put, mine in experts.items():
        count = range(len(mine) // 3)
        both = [torch.cat([mine[f"{each}.w1"], mine[f"{each}.w3"]]) for each in count]
        found[f"{put}.experts.gate_up_proj"] = torch.stack(both)
        found[f"{put}.experts.down_proj"] = torch.stack([mine[f"{each}.w2"] for each in count])
    return found


def by_token(state: Mapping[str, torch.Tensor], place: Path) -> dict[str, torch.Tensor]:
    """The tensors with their vocabulary's rows in the alphabetical order of its tokens."""
    data = json.loads((place / "tokenizer.json").read_text())
    ids = data["model"]["vocab"] | {each["content"]: each["id"] for each in data["added_tokens"]}
    order = [ids[token] for token in sorted(ids)]
    rows = ("model.embed_tokens.weight", "lm_head.weight")
    assert all(len(state[name]) == len(order) for name in rows)
    return {**state, **{name: state[name][order] for name in rows}}


def numbers(state: Mapping[str, torch.Tensor]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """(names, kept numbers of each, how near each has to be): sorted by name."""
    names, rows, near = sorted(state), [], []
    for name in names:
        flat = state[name].double().flatten()
        places = torch.linspace(0, len(flat) - 1, KEPT).round().long()
        rows.append([float(flat.sum()), *flat[places].tolist()])
        most = float(flat.abs().max())
        near.append([1e-6 * most * len(flat) ** 0.5, *[1e-6 * most] * KEPT])
    return names, np.array(rows), np.array(near)
