#!/usr/bin/env bash
# AutoModelForCausalLM takes a multimodal Qwen3.5 checkpoint, leaves its vision tower out, and its
# loading report says that nothing was unexpected; saved again, the tower is gone.
#
# Versions: transformers 5.23.0, torch 2.13.0 (CPU), safetensors 0.8.0, numpy 2.4.6, Python 3.11.
# Behaviour: for model_type qwen3_5 the causal auto class is the text class, which lists
#   "^model.visual.*" among the keys that it ignores, so unexpected_keys is empty and nothing is
#   warned of. save_pretrained then writes the text part under a text configuration (qwen3_5_text),
#   with the names of the whole ("model.language_model.…"). For Gemma 3 the same auto class loads
#   the whole model, tower and all, and saves it whole.
# Likely guess: the auto class loads the whole model as for Gemma 3, or refuses, or the report names
#   the tensors that were not used; loading and saving keeps a checkpoint's tensors.
# Why it matters here: who merges the text parts of such checkpoints through from_pretrained and
#   save_pretrained exports a model without its tower, and no message says so.
# Seen on 2026-11-28:
#   qwen3_5: class Qwen3_5ForCausalLM, unexpected 0, tensors 49 -> 28, of the tower 21 -> 0, saved as qwen3_5_text
#   gemma3: class Gemma3ForConditionalGeneration, unexpected 0, tensors 62 -> 62, of the tower 32 -> 32, saved as gemma3
# Exit: 0 while this holds, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6 \
  2> "$folder/pip.txt" || { cat "$folder/pip.txt"; exit 1; }
cd "$folder"
"$folder/venv/bin/python" - 2> log.txt <<'PYTHON' || { tail -5 log.txt; exit 1; }
import sys

from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    Gemma3Config,
    Qwen3_5Config,
)

TEXT = dict(
    vocab_size=128, hidden_size=32, intermediate_size=32, num_hidden_layers=2,
    num_attention_heads=2, num_key_value_heads=1, head_dim=16,
)
QWEN = Qwen3_5Config(
    text_config=TEXT | dict(
        linear_num_key_heads=2, linear_num_value_heads=2, linear_key_head_dim=8,
        linear_value_head_dim=8, layer_types=["linear_attention", "full_attention"],
    ),
    vision_config=dict(
        depth=1, hidden_size=32, intermediate_size=32, num_heads=2, out_hidden_size=32,
        num_position_embeddings=16,
    ),
)
GEMMA = Gemma3Config(
    text_config=TEXT,
    vision_config=dict(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        image_size=28, patch_size=14,
    ),
    mm_tokens_per_image=4,
)


def tensors(place):
    with safe_open(f"{place}/model.safetensors", "pt") as file:
        return list(file.keys())


def round_trip(config):
    name = config.model_type
    AutoModelForImageTextToText.from_config(config).save_pretrained(f"{name}-whole")
    model, report = AutoModelForCausalLM.from_pretrained(f"{name}-whole", output_loading_info=True)
    model.save_pretrained(f"{name}-again")
    before, after = tensors(f"{name}-whole"), tensors(f"{name}-again")
    tower = [sum("vis" in each for each in keys) for keys in (before, after)]
    kind = AutoConfig.from_pretrained(f"{name}-again").model_type
    found = (type(model).__name__, len(report["unexpected_keys"]), len(before), len(after), *tower, kind)
    print("{}: class {}, unexpected {}, tensors {} -> {}, of the tower {} -> {}, saved as {}".format(name, *found))
    return found


qwen, gemma = round_trip(QWEN), round_trip(GEMMA)
holds = qwen[0] == "Qwen3_5ForCausalLM" and qwen[1] == 0 and qwen[4] > 0 == qwen[5]
holds = holds and qwen[6] == "qwen3_5_text" and gemma[2:4] == (gemma[2], gemma[2]) and gemma[4] == gemma[5] > 0
sys.exit(0 if holds else 1)
PYTHON
