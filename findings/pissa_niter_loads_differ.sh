#!/usr/bin/env bash
# A saved PiSSA adapter whose start was "pissa_niter_4" is another model each time peft loads it.
#
# Versions: peft 0.21.2, transformers 5.23.0, torch 2.13.0, Python 3.11.
# Behaviour: PiSSA takes the first singular vectors out of the base's weights before training. Of that
#   the file keeps nothing; PeftModel.from_pretrained repeats it on the base, and for pissa_niter_N
#   with torch.svd_lowrank, which draws a random matrix from the global generator. What is taken out
#   of the base then differs from what was taken out in training, and from load to load. With "pissa"
#   (a full SVD) the loads agree to the last bit.
# Likely guess: loading saved weights is deterministic; an initialisation only matters before training.
# Why it matters here: scores of such an adapter, and merges with it, cannot be repeated. Saving with
#   path_initial_model_for_weight_conversion gives a plain LoRA without this.
# Seen on 2026-11-28 (largest difference of a logit):
#   pissa: trained and loaded 0.000, loaded twice 0.000
#   pissa_niter_4: trained and loaded 0.389, loaded twice 0.192
# Exit: 0 while this holds, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.13.0 transformers==5.23.0 peft==0.21.2
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

warnings.simplefilter("ignore")
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=4, tie_word_embeddings=False,
)
base = LlamaForCausalLM(config)
with torch.no_grad():
    for parameter in base.parameters():
        if parameter.dim() == 2:
            parameter.mul_(3)
base.save_pretrained("base")
ids = torch.arange(20)[None]


def fresh():
    return LlamaForCausalLM.from_pretrained("base")


@torch.no_grad()
def differences(start: str) -> tuple[float, float]:
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], init_lora_weights=start)
    trained = get_peft_model(fresh(), lora).eval()
    for name, parameter in trained.named_parameters():
        if "lora_" in name:
            parameter.add_(0.2 * torch.randn(parameter.shape))
    trained.save_pretrained(start)
    first, second = (PeftModel.from_pretrained(fresh(), start).eval()(ids).logits for _ in range(2))
    return float((trained(ids).logits - first).abs().max()), float((first - second).abs().max())


seen = {}
for start in ("pissa", "pissa_niter_4"):
    seen[start] = differences(start)
    print(f"{start}: trained and loaded {seen[start][0]:.3f}, loaded twice {seen[start][1]:.3f}")
holds = max(seen["pissa"]) < 1e-5 and min(seen["pissa_niter_4"]) > 0.01
sys.exit(0 if holds else 1)
PYTHON
