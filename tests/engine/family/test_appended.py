"""Whether a tokenizer puts tokens behind a text: as transformers does with the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import processors
from transformers import AutoTokenizer

from engine.family.appended import appends
from engine.family.tokenizer import TokenizerFiles
from tests.differential.tokenizers import write_tokenizer

AROUND = [("<s>", 1), ("</s>", 2)]


def template(single: str) -> Any:
    return processors.TemplateProcessing(single=single, pair="$A $B", special_tokens=AROUND)


@pytest.mark.parametrize(
    ("processor", "behind"),
    [
        (template("<s> $A"), False),
        (template("$A </s>"), True),
        (template("<s> $A </s>"), True),
        (processors.ByteLevel(), False),
        (processors.Sequence([processors.ByteLevel(), template("$A </s>")]), True),
        (processors.RobertaProcessing(("</s>", 2), ("<s>", 1)), True),
        (None, False),
    ],
)
def test_by_its_files(processor: Any, behind: bool, tmp_path: Path) -> None:
    write_tokenizer("byte-level", tmp_path)
    before = TokenizerFiles.open(tmp_path).hash
    tokenizer = AutoTokenizer.from_pretrained(tmp_path).backend_tokenizer
    tokenizer.post_processor = processor
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert appends(tmp_path, {}) is behind
    ids = AutoTokenizer.from_pretrained(tmp_path)("the river")["input_ids"]
    assert (ids[-1] == 2) is behind
    assert TokenizerFiles.open(tmp_path).hash != before or not behind


def test_by_its_settings(tmp_path: Path) -> None:
    write_tokenizer("sentencepiece", tmp_path)
    assert not appends(tmp_path, json.loads((tmp_path / "tokenizer_config.json").read_text()))
    file = tmp_path / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"add_eos_token": True}))
    assert appends(tmp_path, json.loads(file.read_text()))
