#!/usr/bin/env bash
# transformers: batch_select_indices on the cache of Falcon-H1 moves keys and values to other rows and
# leaves the Mamba states where they were; the next logits mix two texts in every row that moved.
#
# Versions: transformers 5.23.0, torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11.
# Behaviour: a layer of Falcon-H1 runs attention and Mamba side by side, and its cache layer inherits from
#   both kinds. reorder_cache is written for the two together; batch_select_indices comes from the
#   attention's class alone and knows no convolution or recurrent state. As many rows as before, in another
#   order or repeated, pass without a word. (Fewer rows, or batch_repeat_interleave, end in an error at
#   the next step.) reorder_cache with the same indices is right, with fewer rows, too.
# Likely guess: both select whole rows of a cache, the one for beam search and the other for any use.
# Why it matters here: decoders that prune, fork or regroup rows between steps must move all of a row's
#   state on hybrid models, or compare texts that nobody wrote.
# Seen on 2026-11-29 (largest difference from the logits of the selected rows, which reach 3.9):
#   [1, 0, 2]: batch_select_indices 5.14, reorder_cache 0.00
#   [0, 0, 1]: batch_select_indices 5.14, reorder_cache 0.00
#   [0, 1, 2]: batch_select_indices 0.00, reorder_cache 0.00
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
from transformers import FalconH1Config, FalconH1ForCausalLM

torch.manual_seed(0)
config = FalconH1Config(
    vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, mamba_d_ssm=64, mamba_n_heads=4, mamba_d_head=16,
    mamba_d_state=16, mamba_n_groups=1, mamba_chunk_size=8, initializer_range=0.3,
    bos_token_id=1, eos_token_id=2, pad_token_id=0,
)
model = FalconH1ForCausalLM(config).eval()
prompts = torch.randint(3, 64, (3, 7))
step = torch.full((3, 1), 9)


@torch.no_grad()
def difference(method, rows):
    cache = model(prompts, use_cache=True).past_key_values
    getattr(cache, method)(torch.tensor(rows))
    logits = model(step, past_key_values=cache).logits[:, -1]
    whole = model(torch.cat([prompts[rows], step], dim=1)).logits[:, -1]
    return (logits - whole).abs().max().item()


seen = []
for rows in ([1, 0, 2], [0, 0, 1], [0, 1, 2]):
    selected, reordered = (difference(m, rows) for m in ("batch_select_indices", "reorder_cache"))
    print(f"{rows}: batch_select_indices {selected:.2f}, reorder_cache {reordered:.2f}")
    seen.append((selected > 1, reordered > 1e-3))
sys.exit(seen != [(True, False), (True, False), (False, False)])
PYTHON
