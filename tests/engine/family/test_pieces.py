"""A sentencepiece model is read as transformers' own reader of that format reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import IncompatibleFamily
from engine.family.compatibility import Family, open_family
from engine.family.pieces import read_pieces
from engine.family.tokenizer import TokenizerFiles
from engine.study import FamilySpec
from tests.families import FamilyFiles


def write(file: Path, pieces: list[str]) -> None:
    from transformers.utils import sentencepiece_model_pb2_new as proto

    model: Any = proto.ModelProto()
    for number, piece in enumerate(pieces):
        model.pieces.add(piece=piece, score=-float(number), type=1 + number % 3)
    model.trainer_spec.model_prefix = "m"
    model.trainer_spec.vocab_size = len(pieces)
    model.normalizer_spec.add_dummy_prefix = True
    file.write_bytes(model.SerializeToString())


def test_pieces_in_the_order_of_their_ids(tmp_path: Path) -> None:
    pieces = ["<unk>", "<s>", "</s>", "<0x0A>", "▁the", "é" * 90, "", "日本"]
    write(tmp_path / "tokenizer.model", pieces)
    found = read_pieces(tmp_path / "tokenizer.model", "LlamaTokenizer")
    assert found == dict(enumerate(pieces))
    # fairseq's classes put four tokens of their own in front
    assert read_pieces(tmp_path / "tokenizer.model", "XGLMTokenizer") is None


@pytest.mark.parametrize(
    "data", [b"", b"IQ== 0\nIg== 1\n", b"\x0a\xff", b"\x0a\x02\x0a\x09", b"\xff" * 12]
)
def test_other_forms_are_no_pieces(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(data)
    assert read_pieces(tmp_path / "tokenizer.model") is None


def opened(files: FamilyFiles, pieces: list[str] | bytes) -> Family:
    """The family whose expert has a sentencepiece model in place of its tokenizer."""
    place = files.experts["helpful"]
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (place / name).unlink(missing_ok=True)
    if isinstance(pieces, bytes):
        (place / "tokenizer.model").write_bytes(pieces)
    else:
        write(place / "tokenizer.model", pieces)
    return open_family(FamilySpec(files.base, {"helpful": place}))


def test_an_expert_with_a_sentencepiece_model_is_compared(files: FamilyFiles) -> None:
    tokens = TokenizerFiles.open(files.base).tokens
    same = [tokens[number] for number in range(len(tokens))]
    assert opened(files, same).notes == ()
    (files.experts["helpful"] / "added_tokens.json").write_text(json.dumps({"<new>": 299}))
    with pytest.raises(IncompatibleFamily, match=r"id 299 is the token .* in base and '<new>' in"):
        opened(files, same)
    (files.experts["helpful"] / "added_tokens.json").unlink()
    other = [*same[:70], "▁other", *same[71:]]
    with pytest.raises(IncompatibleFamily, match=r"id 70 is the token .* in base and '▁other' in"):
        opened(files, other)


def test_a_form_that_is_not_read_is_told(files: FamilyFiles) -> None:
    (note,) = opened(files, b"IQ== 0\n").notes
    assert "only tokenizer.model, in a format that is not supported" in note
