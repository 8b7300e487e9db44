from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from engine.errors import BadInput
from engine.family.tokenizer import TokenizerFiles, compare
from tests.families import ADDED, VOCABULARY, FamilyFiles


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_ids_are_those_of_transformers(pristine: FamilyFiles) -> None:
    for place in (pristine.base, pristine.experts["coder"]):
        files = TokenizerFiles.open(place)
        theirs = AutoTokenizer.from_pretrained(place, local_files_only=True)
        assert {token: number for number, token in files.tokens.items()} == theirs.get_vocab()
        assert files.size == len(theirs)
        assert files.eos_id == theirs.eos_token_id
        assert files.chat_template == theirs.chat_template
    assert files.size == VOCABULARY + len(ADDED)


def test_tokens_that_only_the_configuration_names(files: FamilyFiles) -> None:
    decoder = {"900": {"content": "<nine>", "special": True}, "31": {"content": "<new>"}}
    edit(
        files.base / "tokenizer_config.json",
        added_tokens_decoder=decoder,
        mask_token="<mask>",
        extra_special_tokens=["<more>"],
    )
    found = TokenizerFiles.open(files.base)
    theirs = AutoTokenizer.from_pretrained(files.base, local_files_only=True)
    assert found.size == len(theirs)
    for token in ("<nine>", "<new>", "<mask>", "<more>"):
        assert found.tokens[theirs.convert_tokens_to_ids(token)] == token


def test_end_ids_are_a_union(files: FamilyFiles) -> None:
    edit(files.base / "generation_config.json", eos_token_id=[7, 8])
    edit(files.base / "config.json", eos_token_id=9)
    found = TokenizerFiles.open(files.base)
    assert found.end_ids == {7, 8, 9, found.eos_id}


def test_chat_template_places(files: FamilyFiles) -> None:
    (files.base / "chat_template.jinja").unlink(missing_ok=True)
    named = [{"name": "other", "template": "no"}, {"name": "default", "template": "yes"}]
    edit(files.base / "tokenizer_config.json", chat_template=named)
    assert TokenizerFiles.open(files.base).chat_template == "yes"
    (files.base / "chat_template.jinja").write_text("its own")
    assert TokenizerFiles.open(files.base).chat_template == "its own"
    edit(files.base / "tokenizer_config.json", chat_template=None)
    (files.base / "chat_template.jinja").unlink()
    assert TokenizerFiles.open(files.base).chat_template is None


def test_hash_follows_every_file(files: FamilyFiles) -> None:
    first = TokenizerFiles.open(files.base).hash
    assert TokenizerFiles.open(files.base).hash == first
    edit(files.base / "generation_config.json", eos_token_id=[7])
    second = TokenizerFiles.open(files.base).hash
    (files.base / "chat_template.jinja").write_text("another")
    assert len({first, second, TokenizerFiles.open(files.base).hash}) == 3


def test_vocab_json_alone(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "b": 1}))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<x>": 2}))
    assert dict(TokenizerFiles.open(tmp_path).tokens) == {0: "a", 1: "b", 2: "<x>"}


def test_unigram(tmp_path: Path) -> None:
    model = {"type": "Unigram", "vocab": [["<unk>", 0.0], ["▁a", -1.5]]}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model, "added_tokens": []}))
    assert dict(TokenizerFiles.open(tmp_path).tokens) == {0: "<unk>", 1: "▁a"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", ":1: not JSON"),
        ("[]", "got a list"),
        ("{}", "no model.vocab"),
        ('{"model": {"vocab": {}}}', "the vocabulary is empty"),
        ('{"model": {"vocab": {"a": "b"}}}', "not a token with an id"),
        ('{"model": {"vocab": {"a": 0}}, "added_tokens": [3]}', "not an object"),
        ('{"model": {"vocab": [3]}}', "not a token with an id"),
    ],
)
def test_refuses_bad_files(content: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(BadInput) as caught:
        TokenizerFiles.open(tmp_path)
    assert expected in str(caught.value) and "tokenizer.json" in str(caught.value)


def test_missing_and_sentencepiece_only(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the tokenizer is missing"):
        TokenizerFiles.open(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"\n")
    with pytest.raises(BadInput, match="only a sentencepiece"):
        TokenizerFiles.open(tmp_path)


def test_compare_common_ids_only() -> None:
    first = TokenizerFiles(Path("a"), {0: "x", 1: "y", 2: "z"})
    assert compare(first, TokenizerFiles(Path("b"), {0: "x", 1: "y"})) is None
    assert compare(first, TokenizerFiles(Path("b"), {0: "x", 1: "y", 2: "z", 3: "w"})) is None
    other = TokenizerFiles(Path("b"), {0: "x", 2: "w", 1: "v"})
    assert compare(first, other) == (1, "y", "v")
    assert compare(first, other, below=1) is None
