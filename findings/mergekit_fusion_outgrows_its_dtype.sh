#!/usr/bin/env bash
# mergekit's `dtype: bfloat16` does not make arcee_fusion and ramplus_tl write bfloat16: their files hold float32.
#
# Versions: mergekit 0.1.5, torch 2.13.0 (CPU), transformers 5.23.0, safetensors 0.8.0, Python 3.11.
# Behaviour: `dtype` is the type that tensors are turned into before they are merged. Both methods
#   multiply by a float32 tensor (a mask, factors), so torch widens the sum, and what a method
#   returns is written unless out_dtype is given. config.json says bfloat16 all the same: a loader
#   that goes by it rounds the numbers once more. linear, shown beside them, writes what dtype says.
# Likely guess: dtype is the type of the result, as the examples use it (arcee_fusion.yml has
#   `dtype: bfloat16` and no out_dtype), and as config.json says.
# Why it matters here: the checkpoint is twice the size that its configuration announces, and a
#   result that is rounded to dtype is not mergekit's.
# Seen on 2026-11-29:
#   linear: bfloat16 weights, config.json bfloat16, 5984 bytes, 0 elements are no bfloat16
#   arcee_fusion: float32 weights, config.json bfloat16, 11968 bytes, 30 elements are no bfloat16
#   ramplus_tl: float32 weights, config.json bfloat16, 11968 bytes, 1483 elements are no bfloat16
# Exit: 0 while this holds, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  mergekit==0.1.5 torch==2.13.0 transformers==5.23.0 safetensors==0.8.0 \
  2> "$folder/pip.txt" || { cat "$folder/pip.txt"; exit 1; }
cd "$folder"
export HF_HUB_OFFLINE=1
"$folder/venv/bin/python" - 2> log.txt <<'PYTHON' || { tail -5 log.txt; exit 1; }
import json
import sys

import torch
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

config = LlamaConfig(
    vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1, dtype="bfloat16",
    num_attention_heads=2, num_key_value_heads=1, bos_token_id=0, eos_token_id=1,
    initializer_range=1.0,
)
torch.manual_seed(0)
base = LlamaForCausalLM(config).bfloat16()
base.save_pretrained("base")
for name in "ab":
    with torch.no_grad():
        for each in base.parameters():
            each += 0.2 * torch.randn_like(each)
    base.save_pretrained(name)
found = {}
for method, names in (("linear", "ab"), ("arcee_fusion", "a"), ("ramplus_tl", "ab")):
    weight = {"parameters": {"weight": 0.5}} if method == "linear" else {}
    document = {
        "merge_method": method, "dtype": "bfloat16",
        "models": [{"model": f"./{name}", **weight} for name in names],
        **({} if method == "linear" else {"base_model": "./base"}),
    }
    options = MergeOptions(quiet=True, copy_tokenizer=False)
    run_merge(MergeConfiguration(**document), method, options)
    state = load_file(f"{method}/model.safetensors")
    said = json.load(open(f"{method}/config.json"))
    said = said.get("dtype") or said.get("torch_dtype")
    kinds = {str(each.dtype).removeprefix("torch.") for each in state.values()}
    size = sum(each.numel() * each.element_size() for each in state.values())
    lost = sum(int((each != each.bfloat16()).sum()) for each in state.values())
    print(f"{method}: {', '.join(kinds)} weights, config.json {said}, {size} bytes, "
          f"{lost} elements are no bfloat16")
    found[method] = kinds, said, lost
holds = found["linear"] == ({"bfloat16"}, "bfloat16", 0) and all(
    found[method][:2] == ({"float32"}, "bfloat16") and found[method][2] > 0
    for method in ("arcee_fusion", "ramplus_tl")
)
sys.exit(0 if holds else 1)
PYTHON
