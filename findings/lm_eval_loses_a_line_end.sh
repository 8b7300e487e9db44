#!/usr/bin/env bash
# lm_eval 0.4.13 (transformers 5.23.0, tokenizers 0.23.3, torch 2.13.0): a token that lies across the
# boundary of context and continuation is lost from the log-likelihood.
#
# TemplateLM._encode_pair encodes context + continuation as one text and takes as many tokens for the
# context as the context has when it is encoded alone. Trailing white space goes to the continuation
# first. Byte-level tokenizers of today join punctuation with line ends (":\n" is one token), so
# with the context "A:\n" the whole text has the token ":\n" where the context alone has ":", the
# counts agree, and the continuation is what stands behind it. What is scored is log p("x" | "A:"):
# the model is fed neither the line end nor the token that holds it.
#
# Likely guess: log p of the continuation with the line end that was moved to it, or log p("x" | "A:\n").
#
# Seen on 2026-11-28:
#   whole text:                ['A', ':Ċ', 'x']
#   fed and scored by lm-eval: ['A', ':'] + ['x']
#
# Exits 0 while this holds, 1 once it does not.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet lm_eval==0.4.13 torch==2.13.0 transformers==5.23.0 tokenizers==0.23.3
"$place/venv/bin/python" - <<'PYTHON'
import sys

from lm_eval.api.model import TemplateLM
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

letters = sorted(pre_tokenizers.ByteLevel.alphabet())
vocabulary = {each: number for number, each in enumerate([*letters, ":Ċ"])}
made = Tokenizer(models.BPE(vocab=vocabulary, merges=[(":", "Ċ")]))
made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=made)


class Reader:
    """What of a model `_encode_pair` looks at."""

    backend = "causal"

    def tok_encode(self, text, add_special_tokens=None):
        return tokenizer.encode(text)


def names(ids):
    return tokenizer.convert_ids_to_tokens(ids)


context, continuation = TemplateLM._encode_pair(Reader(), "A:\n", "x")
print("whole text:               ", names(tokenizer.encode("A:\nx")))
print("fed and scored by lm-eval:", names(context), "+", names(continuation))
lost = names(context) == ["A", ":"] and names(continuation) == ["x"]
sys.exit(0 if lost and names(tokenizer.encode("A:\nx")) == ["A", ":Ċ", "x"] else 1)
PYTHON
