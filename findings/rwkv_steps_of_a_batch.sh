#!/usr/bin/env bash
# RWKV in transformers decodes a batch wrongly: a cached step of three rows gives logits [3, 3, ids],
# off by whole units, while a step of one row, and a forward of three rows without state, are right.
#
# Versions: transformers 5.23.0, torch 2.13.0 (CPU), numpy 2.4.6, Python 3.11.
# Behaviour: with one new column and a state, the time shift takes state[1][:, :, layer], which is
#   [rows, width], beside hidden [rows, 1, width]; they broadcast to [rows, rows, width]. One row is
#   unharmed, and a longer piece of text goes another way (a loop over columns). Nothing is raised, and
#   generate reads logits[:, -1], which mixes the rows.
# Likely guess: the rows of a batch are independent, as in every other class; prompts of equal length
#   need no padding, so a recurrent model can be decoded in batches of them.
# Why it matters here: scores over batches of texts would be silently wrong; RWKV runs a row at a time.
# Seen on 2026-11-28:
#   forward of 3 rows, no state: differs by 0
#   step of 1 row: shape (1, 1, 64), differs by 2.2e-06
#   step of 3 rows: shape (3, 3, 64), differs by 6.7
#   generate, 3 rows at once: 3 of 3 texts differ from the row alone
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
from transformers import RwkvConfig, RwkvForCausalLM

torch.manual_seed(0)
config = RwkvConfig(
    vocab_size=64, hidden_size=32, attention_hidden_size=32, intermediate_size=64,
    num_hidden_layers=2, eos_token_id=None,
)
model = RwkvForCausalLM(config).eval()
for parameter in model.parameters():
    parameter.data.add_(0.3 * torch.randn_like(parameter))
ids = torch.randint(1, 64, (3, 8))


@torch.no_grad()
def whole(rows):
    return model(rows, use_cache=False).logits[:, -1]


@torch.no_grad()
def step(rows):
    state = model(rows[:, :-1], use_cache=True).state
    return model(rows[:, -1:], state=state, use_cache=True).logits


def text(rows):
    return model.generate(rows, max_new_tokens=8, do_sample=False)


right = torch.cat([whole(row[None]) for row in ids])
together = float((whole(ids) - right).abs().max())
one, three = step(ids[:1]), step(ids)
by_one = float((one[:, -1] - right[:1]).abs().max())
by_three = float((three[:, -1] - right).abs().max())
batch = text(ids)
parted = sum(not torch.equal(batch[i], text(ids[i : i + 1])[0]) for i in range(3))
print(f"forward of 3 rows, no state: differs by {together:.2g}")
print(f"step of 1 row: shape {tuple(one.shape)}, differs by {by_one:.2g}")
print(f"step of 3 rows: shape {tuple(three.shape)}, differs by {by_three:.2g}")
print(f"generate, 3 rows at once: {parted} of 3 texts differ from the row alone")
sys.exit(not (together < 1e-4 and by_one < 1e-4 and by_three > 1 and three.shape[1] == 3 and parted))
PYTHON
