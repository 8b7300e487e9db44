#!/usr/bin/env bash
# A list column that went through Parquet and CSV comes back as one text, and nothing complains.
#
# Versions: pandas 3.1.1, pyarrow 26.0.1, numpy 2.4.6, Python 3.11.
# Behaviour: pandas.read_parquet gives each list of a Parquet file as a NumPy array, and to_csv writes
#   str() of it: "['Rome' 'Oslo' 'Bern']", with no commas. Python takes neighbouring string literals for
#   one, so ast.literal_eval, the usual way to read such a cell, returns a list of ONE text.
#   The same table built in Python (lists, no Parquet between) is written with commas and reads right.
# Likely guess: a list column is written as a Python list, "['Rome', 'Oslo', 'Bern']", which
#   literal_eval reads back, or else it fails loudly.
# Why it matters here: multiple-choice data (choices, endings) is published as Parquet and passed on
#   as CSV; four choices become one, or a target becomes the texts run together.
# Seen on 2026-11-28:
#   cell after Parquet and CSV: "['Rome' 'Oslo' 'Bern']"
#   literal_eval reads: ['RomeOsloBern']
#   cell without Parquet: "['Rome', 'Oslo', 'Bern']"
# Exit: 0 while this holds, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import ast
import io
import sys

import pandas as pd

table = pd.DataFrame({"question": ["Capital of Norway?"], "choices": [["Rome", "Oslo", "Bern"]]})
table.to_parquet("table.parquet")
passed = pd.read_parquet("table.parquet")


def cell(frame: pd.DataFrame) -> str:
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)))["choices"][0]


after, before = cell(passed), cell(table)
read = ast.literal_eval(after)
print(f"cell after Parquet and CSV: {after!r}")
print(f"literal_eval reads: {read}")
print(f"cell without Parquet: {before!r}")
holds = read == ["RomeOsloBern"] and ast.literal_eval(before) == ["Rome", "Oslo", "Bern"]
sys.exit(0 if holds else 1)
PYTHON
