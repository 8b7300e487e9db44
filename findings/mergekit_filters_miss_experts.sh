#!/usr/bin/env bash
# mergekit's filters do not see the names in a Mixtral checkpoint: its experts are merged as one tensor.
#
# Versions: mergekit 0.1.5, torch 2.13.0 (CPU), transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6,
#   Python 3.11.
# Behaviour: files of Mixtral store …block_sparse_moe.experts.0.w1.weight and so on. mergekit goes by the
#   module that transformers 5 makes of them, …mlp.experts.gate_up_proj with all experts' w1 and w3, and
#   …mlp.gate.weight. A filter is looked for in that name: "w1", "experts.0." and "block_sparse_moe" match
#   nothing, without a word, and the next filter counts; "mlp" matches, though no stored name has it.
# Likely guess: a filter is part of a tensor's name as the files have it, so that
#   {filter: w1, value: 0} leaves every w1 as in the base.
# Why it matters here: the same YAML means another merge for a program that goes by the files' names;
#   and a density or an angle speaks of all experts of a layer at once.
# Seen on 2026-11-28 (task_arithmetic, weights [{filter: FILTER, value: 0}, {value: 1}]):
#   FILTER w1, experts.0., block_sparse_moe:  every expert's tensors are the other model's
#   FILTER mlp, gate_up_proj:                 w1 and w3 of every expert are the base's
# Exit: 0 while this holds, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  mergekit==0.1.5 torch==2.13.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6 \
  2> "$folder/pip.txt" || { echo "pip: status $?"; cat "$folder/pip.txt"; exit 1; }
cd "$folder"
export HF_HUB_OFFLINE=1
"$folder/venv/bin/python" - 2> log.txt <<'PYTHON' || { echo "python: status $?"; tail -5 log.txt; exit 1; }
import json
import os

import torch
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.torch import load_file, save_file

EXPERTS, HIDDEN, MIDDLE, ROWS = 2, 8, 12, 16
PUT = "model.layers.0."
SHAPES = {
    "model.embed_tokens.weight": (ROWS, HIDDEN), "model.norm.weight": (HIDDEN,),
    "lm_head.weight": (ROWS, HIDDEN), f"{PUT}input_layernorm.weight": (HIDDEN,),
    f"{PUT}post_attention_layernorm.weight": (HIDDEN,),
    f"{PUT}block_sparse_moe.gate.weight": (EXPERTS, HIDDEN),
    **{f"{PUT}self_attn.{each}_proj.weight": (HIDDEN, HIDDEN) for each in "qkvo"},
}
for expert in range(EXPERTS):
    inner = f"{PUT}block_sparse_moe.experts.{expert}."
    SHAPES |= {f"{inner}w1.weight": (MIDDLE, HIDDEN), f"{inner}w2.weight": (HIDDEN, MIDDLE)}
    SHAPES |= {f"{inner}w3.weight": (MIDDLE, HIDDEN)}
CONFIG = {
    "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_size": HIDDEN,
    "intermediate_size": MIDDLE, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2, "num_local_experts": EXPERTS, "vocab_size": ROWS,
    "tie_word_embeddings": False, "dtype": "float32",
}
for name, value in (("base", 1.0), ("other", 2.0)):
    os.mkdir(name)
    state = {key: torch.full(shape, value) for key, shape in SHAPES.items()}
    save_file(state, f"{name}/model.safetensors", {"format": "pt"})
    with open(f"{name}/config.json", "w") as file:
        json.dump(CONFIG, file)


def experts(text: str) -> set[float]:
    """The values in w1 and w3 of all experts where what a filter matches is not merged."""
    weight = [{"filter": text, "value": 0}, {"value": 1}]
    said = {
        "merge_method": "task_arithmetic", "base_model": "./base", "dtype": "float32",
        "models": [{"model": "./other", "parameters": {"weight": weight}}],
    }
    out = f"out-{text}"
    options = MergeOptions(quiet=True, copy_tokenizer=False, write_model_card=False)
    run_merge(MergeConfiguration.model_validate(said), out, options)
    found = load_file(f"{out}/model.safetensors")
    assert not any("block_sparse_moe" in key or ".w1." in key for key in found)
    return set(found[f"{PUT}mlp.experts.gate_up_proj"].unique().tolist())


for text in ("w1", "experts.0.", "block_sparse_moe"):
    assert experts(text) == {2.0}, text
for text in ("mlp", "gate_up_proj"):
    assert experts(text) == {1.0}, text
print("filters by the stored names of experts match nothing")
PYTHON
