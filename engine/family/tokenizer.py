"""What a tokenizer's files say, without loading the tokenizer: ids, end tokens, chat template.

Two models can be combined when an id means the same token to both. That is a question about the map
from id to token, not about `config.vocab_size` (rows are padded) and not about how text is cut
(both sides are fed the same ids). The map is that of transformers: vocabulary, then added tokens at
the ids the file gives, then special tokens that the configuration names but the file lacks,
appended at the end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.errors import BadInput, bad
from engine.family.appended import appends
from engine.family.config_types import generation_problems, tokenizer_problems
from engine.family.dated import DAY, uses_date
from engine.family.pieces import pieces_file
from engine.json_reading import MAX_JSON, optional_object, read_object
from engine.plain_file import read_plain

MAX_TEMPLATE = 4_000_000
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json",
    "generation_config.json",
)  # fmt: skip
_SPECIAL = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)


def content_of(token: Any) -> str | None:
    """The text of a token that is written as a text or as an object."""
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else None


def ids_of(value: Any) -> frozenset[int]:
    """The ids in an `eos_token_id`, which is a number, a list of them or absent."""
    values = value if isinstance(value, list) else [value]
    return frozenset(
        each for each in values if isinstance(each, int) and not isinstance(each, bool)
    )


@dataclass(frozen=True)
class TokenizerFiles:
    """A tokenizer as its files describe it.

    Attributes:
        path: the directory.
        tokens: id -> token, added tokens included.
        end_ids: ids that end a text: generation_config, config and the tokenizer's own end token.
        eos_id: the tokenizer's own end token.
        chat_template: the Jinja text, None if there is none.
    """

    path: Path
    tokens: Mapping[int, str]
    end_ids: frozenset[int] = frozenset()
    eos_id: int | None = None
    chat_template: str | None = field(default=None, repr=False)

    @staticmethod
    def present(path: Path) -> bool:
        """Whether the directory holds a tokenizer that `open` can read."""
        return (path / "tokenizer.json").is_file() or (path / "vocab.json").is_file()

    @classmethod
    def open(cls, path: Path) -> TokenizerFiles:
        """Read a directory's tokenizer.

        Raises:
            BadInput: there is none, it is in a form that needs another library, or a file is not
                what it should be.
        """
        if not cls.present(path):
            file = pieces_file(path)
            if file is not None:
                raise bad(
                    str(path),
                    f"there is only a sentencepiece {file.name}, no tokenizer.json",
                    "Load it with AutoTokenizer where sentencepiece is installed, and save it "
                    "here.",
                )
            raise bad(
                str(path),
                "the tokenizer is missing: no tokenizer.json",
                "Copy the tokenizer's files here, or set `tokenizer:` to another model.",
            )
        settings = _settings(path)
        tokens, owner = _tokens(path)
        _add_named(tokens, settings, optional_object(path / "special_tokens_map.json"))
        ids = {token: number for number, token in tokens.items()}
        eos = ids.get(content_of(settings.get("eos_token")) or "")
        if eos is None:
            eos = ids.get(
                content_of(optional_object(path / "special_tokens_map.json").get("eos_token")) or ""
            )
        ends = config_end_ids(path) | (frozenset() if eos is None else {eos})
        if not tokens:
            raise bad(str(owner), "the vocabulary is empty", "Download the file again.")
        return cls(path, tokens, ends, eos, chat_template_of(path, settings))

    @property
    def size(self) -> int:
        """One more than the highest id: `len(tokenizer)` where ids have no gaps."""
        return max(self.tokens) + 1

    @cached_property
    def hash(self) -> str:
        """sha256 over the bytes of every file that can change a text or its end."""
        whole = hashlib.sha256()
        for name in TOKENIZER_FILES:
            file = self.path / name
            if file.is_file():
                whole.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        whole.update(json.dumps(sorted(self.end_ids)).encode())
        if uses_date(self.chat_template):
            whole.update(f"on {DAY:%Y-%m-%d}".encode())
        if appends(self.path, optional_object(self.path / "tokenizer_config.json")):
            whole.update(b"left out")
        return whole.hexdigest()


def _settings(path: Path) -> dict[str, Any]:
    """tokenizer_config.json, its types checked."""
    file = path / "tokenizer_config.json"
    settings = optional_object(file)
    if wrong := tokenizer_problems(settings, file):
        raise BadInput(*wrong)
    return settings


def config_end_ids(path: Path) -> frozenset[int]:
    """The end tokens that a directory's generation_config.json and config.json name."""
    config = optional_object(path / "config.json")
    nested = config.get("text_config")
    file = path / "generation_config.json"
    generation = optional_object(file)
    if wrong := generation_problems(generation, file):
        raise BadInput(*wrong)
    found = ids_of(generation.get("eos_token_id"))
    found |= ids_of(config.get("eos_token_id"))
    return found | ids_of(nested.get("eos_token_id") if isinstance(nested, dict) else None)


_read_last: tuple[bytes, dict[int, str]] = (b"", {})
"""The tokenizer.json read last and its tokens: models of a family mostly have the same."""


def _tokens(path: Path) -> tuple[dict[int, str], Path]:
    """(id -> token, their file), from tokenizer.json, else vocab.json and added_tokens.json."""
    global _read_last
    file = path / "tokenizer.json"
    try:
        content = file.read_bytes() if file.stat().st_size <= MAX_JSON else None
    except OSError:
        content = None  # parsing says what is wrong
    if content is None:
        return _parse_tokens(path)
    if content != _read_last[0]:
        _read_last = (content, _parse_tokens(path)[0])
    return dict(_read_last[1]), file


def _parse_tokens(path: Path) -> tuple[dict[int, str], Path]:
    file = path / "tokenizer.json"
    if not file.is_file():
        file = path / "vocab.json"
        pairs: list[tuple[Any, Any]] = list(read_object(file).items()) + list(
            optional_object(path / "added_tokens.json").items()
        )
    else:
        data = read_object(file)
        model = data.get("model")
        vocabulary = model.get("vocab") if isinstance(model, dict) else None
        if isinstance(vocabulary, dict):
            pairs = list(vocabulary.items())
        elif isinstance(vocabulary, list):  # Unigram: [token, score] by id
            pairs = [
                (each[0] if isinstance(each, list) and each else None, i)
                for i, each in enumerate(vocabulary)
            ]
        else:
            raise bad(str(file), "it has no model.vocab", "Download the file again.")
        added = data.get("added_tokens") or []
        if not isinstance(added, list):
            raise bad(str(file), "added_tokens is not a list", "Download the file again.")
        for each in added:
            if not isinstance(each, dict):
                raise bad(
                    str(file),
                    f"the added token {str(each)[:80]!r} is not an object",
                    "Download it again.",
                )
            pairs.append((each.get("content"), each.get("id")))
    tokens: dict[int, str] = {}
    for token, number in pairs:
        if (
            not isinstance(token, str)
            or isinstance(number, bool)
            or not isinstance(number, int)
            or number < 0
        ):
            raise bad(
                str(file),
                f"the entry {str(token)[:40]!r}: {str(number)[:40]} is not a token with an id",
                "Correct it.",
            )
        tokens[number] = token
    return tokens, file


def _add_named(
    tokens: dict[int, str], settings: Mapping[str, Any], special: Mapping[str, Any]
) -> None:
    """Append, as transformers does, tokens that the configuration alone names."""
    decoder = settings.get("added_tokens_decoder")
    named: list[Any] = []
    if isinstance(decoder, dict):
        named += [decoder[key] for key in sorted(decoder, key=lambda key: (len(key), key))]
    for source in (settings, special):
        named += [source.get(key) for key in _SPECIAL]
        more = source.get("additional_special_tokens") or source.get("extra_special_tokens") or []
        named += (
            list(more.values())
            if isinstance(more, dict)
            else more
            if isinstance(more, list)
            else []
        )
    known = set(tokens.values())
    for each in named:
        text = content_of(each)
        if text and text not in known:
            tokens[max(tokens, default=-1) + 1] = text
            known.add(text)


def chat_template_of(path: Path, settings: Mapping[str, Any]) -> str | None:
    """The default chat template: its own file, else of the settings, else of a processor."""
    file = path / "chat_template.jinja"
    if file.is_file():
        try:
            return read_plain(file, MAX_TEMPLATE).decode("utf-8")
        except UnicodeDecodeError as error:
            raise bad(str(file), f"cannot be read ({error})", "Download the file again.") from None
    found = settings.get("chat_template")
    if isinstance(found, list):
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = named.get("default")
    if not found:  # a processor's file, which a tokenizer by itself does not read
        found = optional_object(path / "chat_template.json").get("chat_template")
    return found if isinstance(found, str) else None


def compare(
    first: TokenizerFiles, second: TokenizerFiles, below: int | None = None
) -> tuple[int, str, str] | None:
    """The first id that means different tokens to the two, with both tokens; None if they agree.

    Only ids that both have are compared, below `below` where it is given: tokens added at the end
    of one are fine.
    """
    if first.tokens == second.tokens:
        return None
    for number in sorted(first.tokens.keys() & second.tokens.keys()):
        if below is not None and number >= below:
            return None
        if first.tokens[number] != second.tokens[number]:
            return number, first.tokens[number], second.tokens[number]
    return None
