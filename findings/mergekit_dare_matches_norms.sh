#!/usr/bin/env bash
# mergekit's dare_linear does not divide by 1 − p: it scales what is left of a tensor to its old L1 norm.
#
# Versions: mergekit 0.1.5, torch 2.13.0 (CPU), safetensors 0.8.0, numpy 2.4.6, Python 3.11.
# Behaviour: after the random mask of density d the surviving changes of a tensor are multiplied by
#   |τ|₁ / |mask ⊙ τ|₁. The factor differs from draw to draw and depends on which changes were
#   dropped: where a large one was, the small ones grow to make up for it. So the mean over draws is
#   not τ: large changes come out too small, small ones too large, the more so the fewer elements
#   carry the norm. For a tensor of equal changes the factor is near 1 / d.
# Likely guess: DARE (arXiv 2311.03099): drop with probability p, divide the rest by 1 − p; every
#   factor is 1 / d and the mean over draws is τ.
# Why it matters here: the same drop rate and even the same mask give another model than the paper's
#   formula, so a recipe of one cannot be written down for the other.
# Seen on 2026-11-28 (density 0.5, one change of 1.0 beside 999 of 0.001, 40 seeds):
#   factors where the large change is kept:    1.30 … 1.35
#   factors where the large change is dropped: 3.88 … 4.40
#   mean over the seeds: large change 0.76, small changes 1.24
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

SEEDS = 40
change = torch.full((1000,), 0.001)
change[123] = 1.0
save_file({"w": torch.zeros(1000)}, "base.safetensors")
save_file({"w": change}, "expert.safetensors")
with open("merge.yaml", "w") as file:
    file.write(
        "merge_method: dare_linear\nbase_model: base.safetensors\ndtype: float32\n"
        "models:\n  - model: expert.safetensors\n    parameters: {weight: 1.0, density: 0.5}\n"
    )
drawn = []
for seed in range(SEEDS):
    out = f"out{seed}"
    done = CliRunner().invoke(
        merge, ["merge.yaml", out, "--random-seed", str(seed)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    drawn.append(load_file(f"{out}/model.safetensors")["w"])
merged = torch.stack(drawn)
factors = [float((row[row != 0] / change[row != 0]).mean()) for row in merged]
for row, factor in zip(merged, factors):
    assert torch.allclose(row, change * (row != 0) * factor, rtol=1e-4, atol=0)
    assert abs(float(row.sum() / change.sum()) - 1) < 1e-4  # the L1 norm is the old one
kept = [factor for row, factor in zip(merged, factors) if row[123] != 0]
lost = [factor for row, factor in zip(merged, factors) if row[123] == 0]
print(f"factors where the large change is kept:    {min(kept):.2f} … {max(kept):.2f}")
print(f"factors where the large change is dropped: {min(lost):.2f} … {max(lost):.2f}")
mean = merged.mean(0) / change
small = float(torch.cat([mean[:123], mean[124:]]).mean())
print(f"mean over the seeds: large change {float(mean[123]):.2f}, small changes {small:.2f}")
holds = max(kept) < 1.5 and min(lost) > 3 and float(mean[123]) < 0.9 and small > 1.1
sys.exit(0 if holds else 1)
PYTHON
