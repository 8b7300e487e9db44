"""The tensor names of plain classes, derived from the installed library.

    python -m tests.plain_names          writes engine/family/plain_names.json anew

`engine.family.fit` reads that file, so that `check` knows without torch that a checkpoint of such a
class fits it. A test holds the two together.
"""

from __future__ import annotations

import json
import re
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from engine.family.fit import PLAIN

KINDS = (
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "gpt2",
    "olmo2", "olmo3", "granite", "smollm3", "starcoder2", "cohere", "cohere2", "stablelm", "glm4",
    "ministral3", "exaone4", "seed_oss", "ernie4_5", "arcee",
)  # fmt: skip


def names_of(kind: str) -> dict[str, Any]:
    """Names with {} for the number of the layer, what is tied, the prefix that may be left out."""
    config = CONFIG_MAPPING[kind](num_hidden_layers=1)
    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config)
    names = {re.sub(r"\.0\.", ".{}.", name, count=1) for name in module.state_dict()}
    return {
        "prefix": f"{module.base_model_prefix}.",
        "heads": sorted(module._tied_weights_keys or {}),
        "names": sorted(names),
    }


def document() -> str:
    """The file as it is to be; a line a type."""
    lines = [f"  {json.dumps(kind)}: {json.dumps(names_of(kind))}" for kind in KINDS]
    version = json.dumps(transformers.__version__)
    body = ",\n".join(lines)
    return f'{{\n "transformers": {version},\n "model_types": {{\n{body}\n }}\n}}\n'


if __name__ == "__main__":
    PLAIN.write_text(document(), encoding="utf-8")
