"""Merges by YAML give what mergekit 0.1.5 gave: whole commands over tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import engine
from engine.export.mergefile import merge
from engine.mergekit.method import MERGES
from tests.engine.mergekit.cases import CASES
from tests.engine.mergekit.compared import fused, numbers
from tests.engine.mergekit.tiny import build

assert engine.merging

GOLDEN = Path(__file__).parents[2] / "golden" / "mergekit" / "merges.npz"

Kind = Callable[[str], Path]
READY = [name for name, (_, each) in CASES.items() if each["merge_method"] in MERGES]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    """Kind -> directory of its models, written when it is first asked for."""
    root = tmp_path_factory.mktemp("models")
    return lambda kind: root / kind if (root / kind).exists() else build(root, kind)


def merged(folder: Path, document: dict[str, Any], out: Path) -> Path:
    file = folder / f"{out.name}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    merge(file, out, workspace=out.parent / "workspace", device="cpu")
    return out


@pytest.mark.parametrize("name", READY)
def test_equals_mergekit(name: str, models: Kind, tmp_path: Path) -> None:
    kind, document = CASES[name]
    out = merged(models(kind), document, tmp_path / "out")
    state = load_file(out / "model.safetensors")
    names, found, near = numbers(fused(state))
    with np.load(GOLDEN) as stored:
        assert names == str(stored[f"{name}/names"]).split("\n")
        assert (np.abs(found - stored[f"{name}/numbers"]) <= near).all()
        config = json.loads((out / "config.json").read_text())
        layers, rows = stored[f"{name}/sizes"]
        assert (config["num_hidden_layers"], config["vocab_size"]) == (layers, rows)
    if document["merge_method"] in ("passthrough", "linear"):  # and the whole is a model
        loaded, info = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"]
        assert torch.isfinite(loaded(torch.tensor([[1, 2]])).logits).all()
