"""Where a continuation begins, over every kind of tokenizer: against its pieces spelled out."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from engine.family.text import Text
from tests.differential.tokenizers import KINDS, write_tokenizer

PARTS = (
    "the river", "is deep", " ", "  ", "\n", "\n\n", "a", "é", "東京", "😀", "it is", "blue", ":",
    "!", "stones", "<|im_end|>", "\t", "the", "un", "der",
)  # fmt: skip


def open_text(place: Path) -> Text:
    """A text over a directory that holds nothing but a tokenizer."""
    files = SimpleNamespace(path=place, size=0, chat_template=None)
    spec = SimpleNamespace(tokenizer="base", path_of=lambda name: place)
    family: Any = SimpleNamespace(tokenizer=files, spec=spec, end_ids=frozenset())
    return Text(family)


def spelled(text: Text, kind: str, ids: list[int]) -> list[bytes]:
    """The bytes of each token, by what its piece means in this kind of tokenizer."""
    letters = {each: number for number, each in byte_letters().items()}
    found = []
    for piece in text.tokenizer.convert_ids_to_tokens(ids):
        if piece in text.tokenizer.get_added_vocab():
            found.append(piece.encode())
        elif kind == "byte-level":
            found.append(bytes(letters[each] for each in piece))
        elif byte := re.fullmatch(r"<0x(..)>", piece):
            found.append(bytes([int(byte[1], 16)]))
        else:
            found.append(piece.replace("▁", " ").encode())
    return found


def byte_letters() -> dict[int, str]:
    """GPT-2's letter for each byte."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [each for each in range(256) if each not in own]
    return {each: chr(each) for each in own} | {
        each: chr(256 + place) for place, each in enumerate(others)
    }


@pytest.mark.parametrize("kind", [each for each in KINDS if each != "wordpiece"])
def test_tokens_before_the_boundary_spell_no_more_than_the_prompt(
    kind: str, tmp_path: Path
) -> None:
    """Walking over the bytes of the pieces tells, too, which token first reaches past it."""
    write_tokenizer(kind, tmp_path)
    text, draw = open_text(tmp_path), random.Random(7)
    marked = kind != "byte-level"
    for _ in range(300):
        prompt = "".join(draw.choices(PARTS, k=draw.randint(1, 6)))
        whole = prompt + "".join(draw.choices(PARTS, k=draw.randint(1, 4)))
        boundary = len(prompt.rstrip())
        if not boundary:
            continue
        ids, place = text.split(whole, boundary)
        assert ids == text.continuation(whole)
        pieces = spelled(text, kind, ids)
        raw, at = whole.encode(), 0
        ends = []
        for piece in pieces:
            # a space of the tokenizer's own: before the text, or behind a special token
            if marked and piece.startswith(b" ") and not raw.startswith(piece, at):
                piece = piece[1:]
            assert raw.startswith(piece, at), (whole, pieces)
            at += len(piece)
            ends.append(at)
        assert at == len(raw)
        limit = len(whole[:boundary].encode())
        first = next(i for i, end in enumerate(ends) if end > limit)
        # a mark that stands for nothing goes with what it is the mark of
        while first and ends[first - 1] == limit and not pieces[first - 1].strip():
            first -= 1
        assert place == first, (whole, boundary, pieces, place)


def test_words_are_split_where_spaces_are_lost(tmp_path: Path) -> None:
    write_tokenizer("wordpiece", tmp_path)
    text = open_text(tmp_path)
    for prompt, follows in (("the river is", " deep"), ("the river  is \n", "deep")):
        ids, place = text.split(prompt + follows, len(prompt.rstrip()))
        assert ids[:place] == text.continuation(prompt)
        assert ids[place:] == text.continuation(follows)


def bpe(place: Path, **parts: Any) -> Text:
    """A byte-level BPE that joins a colon with line ends, as those of today do."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [(":", "Ċ"), (":Ċ", "Ċ"), ("A", ":"), ("n", "e")]
    vocabulary = {each: n for n, each in enumerate(["<s>", "</s>", *letters])}
    for a, b in merges:
        vocabulary[a + b] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.normalizer = parts.get("normalizer")
    tokenizer.post_processor = parts.get("post_processor")
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.save(str(place / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
    settings |= {"bos_token": "<s>"} if parts.get("bos") else {}
    (place / "tokenizer_config.json").write_text(json.dumps(settings))
    return open_text(place)


@pytest.mark.parametrize("trim", [False, True])
def test_a_token_across_the_boundary_belongs_to_what_follows(tmp_path: Path, trim: bool) -> None:
    """A processor that cuts white space off the offsets would hide that it reaches past."""
    text = bpe(tmp_path, post_processor=processors.ByteLevel(trim_offsets=trim))
    ids, place = text.split("Q\n\nB:\n\none", 4)
    pieces = text.tokenizer.convert_ids_to_tokens(ids)
    assert pieces[:place] == ["Q", "Ċ", "Ċ", "B"] and pieces[place:] == [":ĊĊ", "o", "ne"]


def test_normalisers_that_shorten_and_lengthen(tmp_path: Path) -> None:
    steps = [normalizers.NFKC(), normalizers.Replace("ß", "ss"), normalizers.StripAccents()]
    text = bpe(tmp_path, normalizer=normalizers.Sequence(steps))
    for prompt, follows in (("\ufb01n", "x"), ("Stra\u00df", "e"), ("e\u0301", "ne"), ("ﷺ", "x")):
        ids, place = text.split(prompt + follows, len(prompt))
        assert text.decode(ids[place:]) == follows


def test_what_is_put_around_a_text(tmp_path: Path) -> None:
    around = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    text = bpe(tmp_path, post_processor=around, bos=True)
    assert text.tokenizer("ne", add_special_tokens=True)["input_ids"] == text.continuation("ne")
    assert text.opening == (0,) and text.encode("ne") == [0, *text.continuation("ne")]
    assert text.before_all == 0


def test_without_a_bos_the_end_token_stands_before_all(tmp_path: Path) -> None:
    text = bpe(tmp_path)
    assert text.opening == () and text.before_all == 1


def test_a_tokenizer_written_in_python(tmp_path: Path) -> None:
    """It gives no offsets: as many tokens are the prompt's as the prompt alone has in common."""
    pieces = ["<unk>", "t@@", "h@@", "e", "the", "e@@", "s@@", "a@@", "a", "se@@", "sea", "!", "s"]
    (tmp_path / "vocab.json").write_text(json.dumps({each: n for n, each in enumerate(pieces)}))
    merges = ["#version: 0.2", "t h", "th e</w>", "s e", "se a</w>"]
    (tmp_path / "merges.txt").write_text("\n".join(merges) + "\n")
    settings = {"tokenizer_class": "CTRLTokenizer", "unk_token": "<unk>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "ctrl"}))
    text = open_text(tmp_path)
    assert not text.tokenizer.is_fast
    ids, place = text.split("the sea !", 3)
    assert ids == text.continuation("the") + text.continuation("sea !")
    assert place == len(text.continuation("the"))
    ids, place = text.split("the sea", 5)  # "s" alone is another token than that of "sea"
    assert ids[:place] == text.continuation("the")
