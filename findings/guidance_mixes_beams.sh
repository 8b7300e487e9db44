#!/usr/bin/env bash
# transformers' guidance_scale with num_beams above 1 guides each beam by another beam's past: sequences
# and sequences_scores are not those of the guided distribution.
#
# Versions: transformers 5.23.0, torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11.
# Behaviour: the processor of classifier-free guidance keeps a cache of the unconditional text by itself.
#   Beam search reorders the model's own cache at every step and knows nothing of that one, so that from
#   the first swap of beams on a row's unconditional logits are those of another row's text. Without a
#   cache (use_cache=False) it keeps the ids alike, and is wrong alike. Nothing is raised or warned of.
# Likely guess: guidance is a function of each row's text, as the other processors are, so that greedy,
#   sampling and beam search all search the same guided distribution.
# Why it matters here: mixtures of logits with caches of their own have to follow the rows wherever a
#   search moves them, or must refuse beams.
# Seen on 2026-11-29 (a processor that reads each row's whole text anew, beside the built-in one):
#   1 beam: same text
#   2 beams: other text, score 0.204 for -0.040
#   4 beams: other text, score 0.676 for 1.137
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

SCALE, PROMPT = 1.5, 5
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3,
    bos_token_id=1, eos_token_id=2, pad_token_id=0,
)
model = LlamaForCausalLM(config).eval()
prompt = torch.randint(3, 64, (1, PROMPT))


class Anew(LogitsProcessor):
    """Guidance from the last token of the prompt on, each row's text read as a whole."""

    @torch.no_grad()
    def __call__(self, ids, scores):
        with_prompt = scores.log_softmax(-1)
        without = model(ids[:, PROMPT - 1 :]).logits[:, -1].log_softmax(-1)
        return SCALE * (with_prompt - without) + without


def search(beams, **options):
    return model.generate(
        prompt, num_beams=beams, max_new_tokens=12, do_sample=False,
        return_dict_in_generate=True, output_scores=True, **options,
    )


texts = []
for beams in (1, 2, 4):
    built_in = search(beams, guidance_scale=SCALE)
    anew = search(beams, logits_processor=LogitsProcessorList([Anew()]))
    texts.append(torch.equal(built_in.sequences, anew.sequences))
    words = "same text" if texts[-1] else "other text"
    if beams > 1:
        scores = built_in.sequences_scores.item(), anew.sequences_scores.item()
        words += ", score {:.3f} for {:.3f}".format(*scores)
    print(f"{beams} beam{'s' if beams > 1 else ''}: {words}")
sys.exit(texts != [True, False, False])
PYTHON
