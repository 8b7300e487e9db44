#!/usr/bin/env bash
# transformers 5.23.0 (torch 2.13.0, safetensors 0.8.0): resize_token_embeddings ties a head that
# from_pretrained kept apart.
#
# A checkpoint may say tie_word_embeddings: true and store an lm_head.weight that is not the
# embedding (a head trained after the configuration was written). from_pretrained compares the two,
# warns, and keeps the stored head: the model is untied, and its logits are those of that head.
# config.tie_word_embeddings stays true. resize_token_embeddings ends in tie_weights(), which looks
# at that configuration alone and puts the embedding in the head's place, without a word. So adding
# one token changes the logits of every other token.
#
# Likely guess: resizing leaves the logits of old tokens as they were (mean_resizing=False), tied or
# not, since the model in memory is untied.
#
# Seen on 2026-11-28:
#   loaded: head is the embedding: False, head is the stored one: True, config ties: True
#   resized: head is the embedding: True, largest change of an old token's logit: 1.61
#
# Exits 0 while this holds, 1 once it does not.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6
"$place/venv/bin/python" - "$place/model" <<'PYTHON'
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

folder = sys.argv[1]
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=True,
)
LlamaForCausalLM(config).save_pretrained(folder)
tensors = load_file(f"{folder}/model.safetensors")
tensors["lm_head.weight"] = torch.randn(64, 32) * 0.1
save_file(tensors, f"{folder}/model.safetensors", metadata={"format": "pt"})

ids = torch.tensor([[1, 2, 3]])
with torch.no_grad():
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    kept = model.lm_head.weight is not model.get_input_embeddings().weight
    stored = torch.equal(model.lm_head.weight, tensors["lm_head.weight"])
    print(
        f"loaded: head is the embedding: {not kept}, head is the stored one: {stored}, "
        f"config ties: {model.config.tie_word_embeddings}"
    )
    before = model(ids).logits
    model.resize_token_embeddings(65, mean_resizing=False)
    again = model.lm_head.weight is model.get_input_embeddings().weight
    change = (model(ids).logits[..., :64] - before).abs().max().item()
    print(f"resized: head is the embedding: {again}, largest change of an old token's logit: {change:.2f}")
sys.exit(0 if kept and stored and again and change > 0.5 else 1)
PYTHON
