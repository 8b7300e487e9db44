"""Five kinds of tokenizer, small and the same on every machine: their vocabularies are written here
from a few sentences, not trained by a library.

    byte-level     GPT-2's: bytes as letters, a space belongs to the word behind it
    sentencepiece  LlamaTokenizer: ▁ for a space and before the text, bytes for what is unknown
    unigram        pieces with scores, the likeliest split, ▁ likewise
    wordpiece      words and ##pieces, spaces are lost
    prepend        BPE behind a normaliser that writes ▁ before every text, as early Llama files do
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tests.families import SENTENCES

SPECIALS = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_BYTES = tuple(f"<0x{each:02X}>" for each in range(256))
_MERGES = 90


def _learned(words: Iterable[tuple[str, ...]]) -> list[tuple[str, str]]:
    """Merges of byte-pair encoding: the most frequent pair first, equal ones by their letters."""
    counts = Counter(words)
    merges: list[tuple[str, str]] = []
    while len(merges) < _MERGES:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, times in counts.items():
            for pair in pairwise(word):
                pairs[pair] += times
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        counts = Counter({_joined(word, best): times for word, times in counts.items()})
    return merges


def _joined(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    out: list[str] = []
    for piece in word:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return tuple(out)


def _words(mark: str) -> list[tuple[str, ...]]:
    return [tuple(f"{mark}{word}") for text in SENTENCES for word in text.split()]


def _vocabulary(pieces: Iterable[str]) -> dict[str, int]:
    return {piece: number for number, piece in enumerate(dict.fromkeys((*SPECIALS, *pieces)))}


def _opened(tokenizer: Tokenizer) -> Tokenizer:
    """Every text begins with one BOS."""
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def byte_level() -> Tokenizer:
    merges = _learned(_words("Ġ"))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = _vocabulary([*alphabet, *(a + b for a, b in merges)])
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _opened(tokenizer)


def _marked() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """(vocabulary, merges) over letters, ▁ for a space and bytes for the rest."""
    words = _words("▁")
    merges = _learned(words)
    letters = sorted({letter for word in words for letter in word})
    return _vocabulary([*_BYTES, *letters, *(a + b for a, b in merges)]), merges


def prepend() -> Tokenizer:
    vocabulary, merges = _marked()
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
         decoders.Strip(" ", 1, 0)]
    )  # fmt: skip
    return _opened(tokenizer)


def unigram() -> Tokenizer:
    pieces: Counter[str] = Counter()
    for word in _words("▁"):
        text = "".join(word)
        for start in range(len(text)):
            for end in range(start + 1, min(len(text), start + 6) + 1):
                pieces[text[start:end]] += 1
    kept = sorted(each for each, times in pieces.items() if times > 2 or len(each) == 1)
    scored = [(each, 0.0) for each in SPECIALS]
    scored += [(each, -12.0) for each in _BYTES]
    scored += [(each, math.log(pieces[each] / 600) - 0.01 * n / len(kept)) for n, each in
               enumerate(kept)]  # fmt: skip
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return _opened(tokenizer)


def wordpiece() -> Tokenizer:
    words = ["".join(each) for each in _words("")]
    letters = sorted({letter for word in words for letter in word})
    whole = sorted({word for word in words if len(word) % 2})
    pieces = [*letters, *(f"##{letter}" for letter in letters), *whole]
    pieces += [f"##{word[2:]}" for word in whole if len(word) > 4]
    vocabulary = _vocabulary(pieces)
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return _opened(tokenizer)


def write_tokenizer(kind: str, place: Path) -> int:
    """Write a tokenizer's files into a model's directory; returns its length."""
    place.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
        "chat_template": CHATML,
    }
    if kind == "sentencepiece":
        from transformers import LlamaTokenizer

        vocabulary, merges = _marked()
        made = LlamaTokenizer(vocab=vocabulary, merges=merges, add_bos_token=True)
        made.add_special_tokens({"additional_special_tokens": list(SPECIALS[3:])})
        made.chat_template = CHATML
        made.save_pretrained(place)
        return len(made)
    tokenizer = KINDS[kind]()
    tokenizer.save(str(place / "tokenizer.json"))
    (place / "tokenizer_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    return tokenizer.get_vocab_size()


def _llama() -> Tokenizer:
    raise AssertionError("written by transformers itself")


KINDS: Mapping[str, Callable[[], Tokenizer]] = {
    "byte-level": byte_level,
    "sentencepiece": _llama,
    "unigram": unigram,
    "wordpiece": wordpiece,
    "prepend": prepend,
}
