#!/usr/bin/env bash
# transformers 5 loads no Gemma 2 (or Llama, Cohere …) whose config.json says 30 where its class has
# 30.0: the same number to JSON, and what JavaScript writes for it.
#
# Versions: transformers 5.23.0, huggingface_hub as it requires, Python 3.11; no torch is needed.
# Behaviour: configuration classes are strict dataclasses. A field whose annotation is float, or
#   float | None, refuses a whole number: final_logit_softcapping 30, rms_norm_eps 1, logit_scale 1.
#   Other fields of the same files take one, where the annotation is int | float: attention_dropout
#   0, embedding_multiplier 12, rope_theta 10000.
# Likely guess: a whole number is a float (PEP 484 says so of Python's annotations, and JSON has one
#   kind of number), so that a config.json that went through another tool still loads.
# Why it matters here: check has to say it before a worker fails to load the model; which settings
#   are strict can be told from the annotations alone.
# Seen on 2026-11-28:
#   gemma2 final_logit_softcapping 30: StrictDataclassFieldValidationError
#   gemma2 final_logit_softcapping 30.0: loads
#   llama rms_norm_eps 1: StrictDataclassFieldValidationError
#   llama attention_dropout 0: loads
#   granite embedding_multiplier 12: loads
# Exit: 0 while this holds, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 \
  2> "$folder/pip.txt" || { cat "$folder/pip.txt"; exit 1; }
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - 2> log.txt <<'PYTHON' || { tail -5 log.txt; exit 1; }
import json
import sys
from pathlib import Path

from transformers import AutoConfig

CASES = (
    ("gemma2", "final_logit_softcapping", "30", False),
    ("gemma2", "final_logit_softcapping", "30.0", True),
    ("llama", "rms_norm_eps", "1", False),
    ("llama", "attention_dropout", "0", True),
    ("granite", "embedding_multiplier", "12", True),
)
held = True
for kind, key, number, expected in CASES:
    place = Path(f"{kind}-{key}-{number}")
    place.mkdir()
    (place / "config.json").write_text('{"model_type": %s, %s: %s}' % (
        json.dumps(kind), json.dumps(key), number))
    try:
        AutoConfig.from_pretrained(place)
        said, loaded = "loads", True
    except Exception as error:
        said, loaded = type(error).__name__, False
    print(f"{kind} {key} {number}: {said}")
    held &= loaded is expected
sys.exit(0 if held else 1)
PYTHON
