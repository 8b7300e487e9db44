#!/usr/bin/env bash
# add_weighted_adapter("cat") of two rank-stabilised LoRA adapters is √(their ranks' sum) too strong.
#
# Versions: peft 0.21.2, transformers 5.23.0, torch 2.13.0, Python 3.11.
# Behaviour: "cat" puts the factors side by side and folds each adapter's scale into them; the new
#   adapter's own scale should then be 1, which peft seeks by lora_alpha = r. But it copies the first
#   adapter's configuration with use_rslora = True, under which the scale is alpha / √r = √r. Two
#   adapters of rank 8 give rank 16: the sum is 4 times too strong, live and after saving and loading.
#   The same adapters without use_rslora come out right.
# Likely guess: "cat" is exact: side by side, the factors give the sum of the products.
# Why it matters here: a mixture of rsLoRA adapters exported in this way is another model, and no
#   message says so.
# Seen on 2026-11-28 (strength of the combination in parts of Σ Δ):
#   LoRA: live 1.000, saved and loaded 1.000
#   rsLoRA: live 4.000, saved and loaded 4.000
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
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
    num_key_value_heads=4,
)
LlamaForCausalLM(config).save_pretrained("base")


def layer(model):
    return model.base_model.model.model.layers[0].self_attn.q_proj


@torch.no_grad()
def strengths(stabilised: bool) -> tuple[float, float]:
    lora = LoraConfig(r=8, lora_alpha=8, use_rslora=stabilised, target_modules=["q_proj"])
    model = get_peft_model(LlamaForCausalLM.from_pretrained("base"), lora, "first")
    model.add_adapter("second", lora)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.copy_(torch.randn(parameter.shape))
    wanted = layer(model).get_delta_weight("first") + layer(model).get_delta_weight("second")
    model.add_weighted_adapter(["first", "second"], [1.0, 1.0], "both", combination_type="cat")
    place = f"saved {stabilised}"
    model.save_pretrained(place, selected_adapters=["both"])
    again = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained("base"), f"{place}/both")
    found = layer(model).get_delta_weight("both"), layer(again).get_delta_weight("default")
    return tuple(float((each * wanted).sum() / (wanted * wanted).sum()) for each in found)


seen = {}
for name, stabilised in (("LoRA", False), ("rsLoRA", True)):
    seen[name] = strengths(stabilised)
    print(f"{name}: live {seen[name][0]:.3f}, saved and loaded {seen[name][1]:.3f}")
right = all(abs(each - 1) < 1e-3 for each in seen["LoRA"])
sys.exit(0 if right and all(abs(each - 4) < 1e-3 for each in seen["rsLoRA"]) else 1)
PYTHON
