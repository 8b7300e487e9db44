#!/usr/bin/env bash
# transformers' guidance_scale with negative prompts of unlike lengths: on a model with learned positions
# a padded row's text is not the one that it has alone, though its attention mask is given.
#
# Versions: transformers 5.23.0, torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11.
# Behaviour: generate() counts positions from the attention mask. The processor of classifier-free
#   guidance calls the model with the mask and no position_ids, and the model then counts columns, the
#   padding among them. Where positions are relative (rotary) nothing shows; where they are learned
#   (GPT-2) each padding column shifts the negative prompt by one.
# Likely guess: negative_prompt_attention_mask is all that a batch of negative prompts needs, as
#   attention_mask is for the prompts.
# Why it matters here: guided texts would depend on what else is in the batch; positions have to come
#   from the mask for every branch.
# Seen on 2026-11-29 (two rows at once against each row alone; the second negative prompt is padded):
#   GPT-2, guided: row 0 same, row 1 differs
#   GPT-2, prompts padded alike, no guidance: row 0 same, row 1 same
#   Llama, guided: row 0 same, row 1 same
# Exit: 0 while this holds, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 numpy==2.4.6 \
  2> "$folder/pip.txt" || { cat "$folder/pip.txt"; exit 1; }
cd "$folder"
"$folder/venv/bin/python" - 2> log.txt <<'PYTHON' || { tail -5 log.txt; exit 1; }
import sys

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
ends = dict(vocab_size=64, initializer_range=0.3, bos_token_id=1, eos_token_id=None)
llama = LlamaForCausalLM(LlamaConfig(
    **ends, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2)).eval()
gpt2 = GPT2LMHeadModel(GPT2Config(**ends, n_embd=32, n_layer=2, n_head=4)).eval()
prompts = torch.randint(3, 64, (2, 5))
negative = [[5, 6, 7, 8], [9, 10]]
options = dict(max_new_tokens=12, do_sample=False, pad_token_id=0)


def padded(rows):
    ids = torch.tensor([[0] * (4 - len(row)) + row for row in rows])
    return ids, (ids != 0).long()


def alike(found, alone):
    same = [torch.equal(row[-12:], each[0, -12:]) for row, each in zip(found, alone)]
    return same, ", ".join(f"row {i} {'same' if each else 'differs'}" for i, each in enumerate(same))


def guided(model):
    ids, mask = padded(negative)
    found = model.generate(
        prompts, guidance_scale=1.5, negative_prompt_ids=ids,
        negative_prompt_attention_mask=mask, **options)
    alone = [
        model.generate(prompts[i : i + 1], guidance_scale=1.5,
                       negative_prompt_ids=torch.tensor([row]), **options)
        for i, row in enumerate(negative)
    ]
    return alike(found, alone)


def plain(model):
    ids, mask = padded(negative)
    found = model.generate(ids, attention_mask=mask, **options)
    return alike(found, [model.generate(torch.tensor([row]), **options) for row in negative])


by_gpt2, without, by_llama = guided(gpt2), plain(gpt2), guided(llama)
print("GPT-2, guided:", by_gpt2[1])
print("GPT-2, prompts padded alike, no guidance:", without[1])
print("Llama, guided:", by_llama[1])
sys.exit([by_gpt2[0], without[0], by_llama[0]] != [[True, False], [True, True], [True, True]])
PYTHON
