#!/usr/bin/env bash
# mergekit's sce does not weigh models by the size of their changes where these are small: all count alike.
#
# Versions: mergekit 0.1.5, torch 2.13.0 (CPU), safetensors 0.8.0, numpy 2.4.6, Python 3.11.
# Behaviour: the weight of a model is the mean square of its changes over the sum of these means, but
#   where that sum is below 1e-6 every model gets 1/n. The bound is absolute, not relative: it is met
#   by tensors whose weights moved by well below 1e-3, and the same two models give other
#   proportions when all their changes are multiplied by 1000.
# Likely guess: SCE (arXiv 2408.07990): weights in proportion to the sums of squares, so that scale
#   cancels; a guard against 0/0 matters for models equal to the base only.
# Why it matters here: the merge is an unweighted mean for some tensors of a model and a weighted one
#   for others, decided by how far training went; a formula without that bound gives other weights.
# Seen on 2026-11-28 (changes d and 3 d, so weights 0.1 and 0.9, and a merge of 2.8 d):
#   d = 1        merged change ÷ d: 2.800
#   d = 0.001    merged change ÷ d: 2.800
#   d = 0.0001   merged change ÷ d: 2.000
# Exit: 0 while this holds, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  mergekit==0.1.5 torch==2.13.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6 \
  2> "$folder/pip.txt" || { cat "$folder/pip.txt"; exit 1; }
cd "$folder"
export HF_HUB_OFFLINE=1
"$folder/venv/bin/python" - 2> log.txt <<'PYTHON' || { tail -5 log.txt; exit 1; }
import sys

import torch
from click.testing import CliRunner
from mergekit.scripts.merge_raw_pytorch import main as merge
from safetensors.torch import load_file, save_file

seen = {}
for size in (1.0, 0.001, 0.0001):
    for name, times in (("base", 0), ("small", 1), ("large", 3)):
        save_file({"w": torch.full((64, 64), times * size)}, f"{name}{size}.safetensors")
    with open(f"merge{size}.yaml", "w") as file:
        file.write(
            f"merge_method: sce\nbase_model: base{size}.safetensors\ndtype: float32\n"
            f"models:\n  - model: small{size}.safetensors\n  - model: large{size}.safetensors\n"
        )
    out = f"out{size}"
    done = CliRunner().invoke(merge, [f"merge{size}.yaml", out], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    merged = load_file(f"{out}/model.safetensors")["w"]
    seen[size] = float(merged.mean()) / size
    print(f"d = {size:<8g} merged change ÷ d: {seen[size]:.3f}")
weighed = all(abs(seen[size] - 2.8) < 1e-3 for size in (1.0, 0.001))
sys.exit(0 if weighed and abs(seen[0.0001] - 2.0) < 1e-3 else 1)
PYTHON
