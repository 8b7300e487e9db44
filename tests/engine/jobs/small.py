"""The smallest study that can be swept: a base, a full expert, on request a LoRA one; three
objectives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.families import (
    BASE_ROWS,
    SENTENCES,
    build_tokenizer,
    llama_config,
    llama_weights,
    write_adapter,
    write_lines,
    write_model,
)

SHAPE = {"hidden": 32, "layers": 2, "heads": 2, "kv": 1, "mlp": 48}

OBJECTIVES: tuple[dict[str, Any], ...] = (
    {"name": "has", "data": "rows.jsonl", "scorer": "contains", "max_new_tokens": 6},
    {"name": "loss", "data": "rows.jsonl", "scorer": "nll"},
    {"name": "cost", "scorer": "cost"},
)


def build_small_study(
    root: Path, *, adapter: bool = False, objectives: Sequence[dict[str, Any]] = OBJECTIVES
) -> Path:
    """Write the family and its study file; returns the study file."""
    base = llama_weights(SHAPE, BASE_ROWS, seed=1)
    other = llama_weights(SHAPE, BASE_ROWS, seed=2)
    expert = {name: base[name] + 0.4 * other[name] for name in base}
    for name, weights in (("base", base), ("helpful", expert)):
        write_model(root / name, weights, llama_config(SHAPE, BASE_ROWS))
        build_tokenizer(root / name)
    experts = {"helpful": "helpful"}
    if adapter:
        write_adapter(root / "terse", root / "base", rank=2, alpha=4, rslora=False, seed=3)
        experts["terse"] = "terse"
    words = " ".join(SENTENCES).split()
    rows = [
        {"prompt": " ".join(words[index : index + 3]), "targets": [words[index + 3], "e"]}
        for index in range(0, 24, 2)
    ]
    write_lines(root / "rows.jsonl", rows)
    document = {
        "study": "small",
        "family": {"base": "base", "experts": experts},
        "objectives": list(objectives),
    }
    study = root / "study.yaml"
    study.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return study


def recipe(**coefficients: float) -> dict[str, Any]:
    return {"method": "task_arithmetic", "coefficients": coefficients}


def single(model: str) -> dict[str, Any]:
    return {"method": "single", "parameters": {"model": model}}
