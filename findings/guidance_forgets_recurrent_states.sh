#!/usr/bin/env bash
# transformers' guidance_scale on Mamba guides by a text of one token: after its first step the branch
# without the prompt starts anew at every token.
#
# Versions: transformers 5.23.0, torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11.
# Behaviour: the processor of classifier-free guidance takes its cache from the output's past_key_values.
#   Mamba's output calls it cache_params, so the processor keeps None and yet feeds the newest token
#   alone, as if there were a cache. Nothing is raised or warned of. With use_cache=False it is right
#   for as long as it reads the whole text.
# Likely guess: generate() hides how a model keeps its past; guidance works for every causal model that
#   generate() can decode, greedy at least.
# Why it matters here: whatever decodes two models side by side must find each class's own cache.
# Seen on 2026-11-29 (12 tokens, greedy, against a processor that reads each text as a whole):
#   Llama: 12 of 12 tokens the same
#   Mamba: 5 of 12 tokens the same before the first other one
#   Mamba's output: cache_params, logits
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
from transformers import LlamaConfig, LlamaForCausalLM, LogitsProcessor, LogitsProcessorList
from transformers import MambaConfig, MambaForCausalLM

SCALE, PROMPT, NEW = 1.5, 5, 12
sizes = dict(
    vocab_size=64, hidden_size=32, num_hidden_layers=2, initializer_range=0.3,
    bos_token_id=1, eos_token_id=2, pad_token_id=0,
)
torch.manual_seed(0)
llama = LlamaForCausalLM(LlamaConfig(
    **sizes, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2)).eval()
prompt = torch.randint(3, 64, (1, PROMPT))
mamba = MambaForCausalLM(MambaConfig(**sizes, state_size=8)).eval()


class Anew(LogitsProcessor):
    """Guidance from the last token of the prompt on, each row's text read as a whole."""

    def __init__(self, model):
        self.model = model

    @torch.no_grad()
    def __call__(self, ids, scores):
        with_prompt = scores.log_softmax(-1)
        without = self.model(ids[:, PROMPT - 1 :]).logits[:, -1].log_softmax(-1)
        return SCALE * (with_prompt - without) + without


def same(model):
    options = dict(max_new_tokens=NEW, do_sample=False)
    built_in = model.generate(prompt, guidance_scale=SCALE, **options)[0, PROMPT:]
    anew = model.generate(
        prompt, logits_processor=LogitsProcessorList([Anew(model)]), **options)[0, PROMPT:]
    parted = (built_in[: len(anew)] != anew[: len(built_in)]).nonzero()
    return int(parted[0]) if len(parted) else NEW


by_llama, by_mamba = same(llama), same(mamba)
with torch.no_grad():
    names = sorted(mamba(prompt, use_cache=True).keys())
print(f"Llama: {by_llama} of {NEW} tokens the same")
print(f"Mamba: {by_mamba} of {NEW} tokens the same before the first other one")
print("Mamba's output:", ", ".join(names))
sys.exit(not (by_llama == NEW and by_mamba < NEW and names == ["cache_params", "logits"]))
PYTHON
