#!/usr/bin/env bash
# tokenizers 0.23.3: a Unigram model that falls back to bytes gives every byte of a run of unknown
# characters the offsets of the whole run. BPE with the same pieces gives each character its own.
#
# Offsets are what a prompt is split from its continuation by, answers are marked by in extractive
# tasks, and spans are aligned by. With Unigram, "a東京" is one token for "a" and six byte
# tokens, all of them at (1, 3): the three bytes of 東 claim to reach to the end of 京. A line end
# that is not in the vocabulary joins the run, too.
#
# Likely guess: the bytes of a character have the offsets of that character, as with BPE.
#
# Seen on 2026-11-28:
#   unigram [(0, 1), (1, 3), (1, 3), (1, 3), (1, 3), (1, 3), (1, 3)]
#   bpe     [(0, 1), (1, 2), (1, 2), (1, 2), (2, 3), (2, 3), (2, 3)]
#
# Exits 0 while this holds, 1 once it does not.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet tokenizers==0.23.3
"$place/venv/bin/python" - <<'PYTHON'
import sys

from tokenizers import Tokenizer, models

pieces = ["<unk>", *(f"<0x{each:02X}>" for each in range(256)), "a"]
scored = [(each, -1.0) for each in pieces]
unigram = Tokenizer(models.Unigram(scored, unk_id=0, byte_fallback=True))
vocabulary = {each: number for number, each in enumerate(pieces)}
bpe = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))

found = {name: each.encode("a東京").offsets for name, each in (("unigram", unigram), ("bpe", bpe))}
tokens = {tuple(each.encode("a東京").tokens) for each in (unigram, bpe)}
for name, offsets in found.items():
    print(f"{name:7} {offsets}")
own = [(0, 1), *[(1, 2)] * 3, *[(2, 3)] * 3]
run = [(0, 1), *[(1, 3)] * 6]
sys.exit(0 if len(tokens) == 1 and found == {"unigram": run, "bpe": own} else 1)
PYTHON
