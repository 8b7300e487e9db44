"""Text to ids and back, with the tokenizer and chat template that the family names.

One choice of tokenizer serves every model of the family: their ids mean the same tokens. What a
tokenizer puts in front of a text (`<s>`) opens a plain prompt; what it puts behind one
(`add_eos_token`) is left out everywhere, since whatever follows would answer a finished text. What
this does not do: decide where a text ends while it is generated (`engine.decoding`), or read end
tokens from files (`engine.family.tokenizer`).
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

from engine.errors import BadInput, bad, first_line, is_panic
from engine.family.compatibility import Family
from engine.family.dated import pinned, uses_date
from engine.family.templates import rendered
from engine.family.words import FAMILY, Words

_PROBE = "a"
"""A text whose tokens tell the special ones beside it."""

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
"""The piece of a byte."""

_NONE: Mapping[str, Any] = MappingProxyType({})


def thawed(value: Any) -> Any:
    """A value of a study file as plain dicts and lists."""
    if isinstance(value, Mapping):
        return {key: thawed(each) for key, each in value.items()}
    return [thawed(each) for each in value] if isinstance(value, list | tuple) else value


def _written(token: Any) -> Any:
    """Special tokens as texts."""
    return [str(each) for each in token] if isinstance(token, list | tuple) else str(token)


class Text:
    """The family's tokenizer.

    Attributes:
        end_ids: ids that end a text: of generation_config, config and tokenizer.
        opening: ids that the tokenizer puts in front of a text.
        size: one more than the highest id; `len(tokenizer)` where ids have no gaps.
        words: what is put around prompts: the family's, or a model's own.
    """

    words: Words = FAMILY

    def __init__(self, family: Family) -> None:
        if family.tokenizer is None:
            raise bad(
                f"{family.spec.tokenizer} ({family.spec.path_of(family.spec.tokenizer)})",
                "the tokenizer is missing",
                "Set `tokenizer:` to another model, or copy the tokenizer's files there.",
            )
        from transformers import AutoTokenizer

        self.files = family.tokenizer
        self.where = f"tokenizer of {family.spec.tokenizer} ({self.files.path})"
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(
                str(self.files.path), local_files_only=True, trust_remote_code=False
            )
            self.tokenizer(_PROBE)
        except BaseException as error:  # tokenizers raises plain Exceptions, and panics
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            raise bad(
                self.where,
                f"transformers cannot load it ({first_line(error)})",
                "Custom tokenizer code is never run.",
            ) from error
        template = self.files.chat_template
        if template and (uses_date(template) or not self.tokenizer.chat_template):
            self.tokenizer.chat_template = pinned(template)
        own = self.tokenizer.eos_token_id
        self.end_ids: frozenset[int] = family.end_ids | (frozenset() if own is None else {int(own)})
        self.size: int = max(len(self.tokenizer), self.files.size)
        self._markers: dict[str, int | None] = {}
        self.opening: tuple[int, ...] = self._opening()
        if self.tokenizer.is_fast:
            # some processors cut whitespace off the offsets; ids without special tokens stay
            self.tokenizer.backend_tokenizer.post_processor = None

    def _opening(self) -> tuple[int, ...]:
        whole, own = self.tokenizer(_PROBE)["input_ids"], self.continuation(_PROBE)
        for start in range(len(whole) - len(own) + 1):
            if list(whole[start : start + len(own)]) == own:
                return tuple(int(each) for each in whole[:start])
        raise bad(
            self.where,
            f"its special tokens change how {_PROBE!r} is tokenised",
            "Use a tokenizer that only adds them at the beginning or the end.",
        )

    @property
    def end_token(self) -> int:
        """The id that ends an answer in training: the tokenizer's own, else the smallest end id."""
        if self.tokenizer.eos_token_id is not None:
            return int(self.tokenizer.eos_token_id)
        if not self.end_ids:
            raise bad(
                self.where, "no end token is defined", "Set eos_token_id in generation_config.json."
            )
        return min(self.end_ids)

    def worded(self, words: Words) -> Text:
        """The same tokenizer with a model's own words around prompts."""
        other = copy.copy(self)
        other.words = words
        if words.template is not None:
            other.where = f"template of {words.model} ({words.file})"
        return other

    @property
    def has_chat_template(self) -> bool:
        return self.words.template is not None or bool(self.tokenizer.chat_template)

    @property
    def before_all(self) -> int | None:
        """What stands before a text that nothing else opens: the BOS token, else the end token."""
        own = self.tokenizer.bos_token_id
        own = self.tokenizer.eos_token_id if own is None else own
        return None if own is None else int(own)

    def opened(self, ids: Sequence[int]) -> list[int]:
        """The ids with the opening in front, unless it stands there already."""
        opening = list(self.opening)
        return list(ids) if list(ids[: len(opening)]) == opening else [*opening, *ids]

    def encode(
        self, prompt: str, chat: bool = False, variables: Mapping[str, Any] = _NONE
    ) -> list[int]:
        """Ids of a prompt: behind the prefix, with the tokenizer's opening tokens, or as a user
        message."""
        if chat:
            return self.encode_messages([{"role": "user", "content": prompt}], variables)
        return self.opened(self.continuation(self.prefixed(prompt)))

    def prefixed(self, prompt: str) -> str:
        """A prompt as it is fed without chat."""
        return self.words.prefix + prompt

    def encode_messages(
        self, messages: Sequence[Mapping[str, Any]], variables: Mapping[str, Any] = _NONE
    ) -> list[int]:
        """Ids of a conversation through the chat template, opened for the assistant's answer.

        The template writes its own opening tokens, so none is added. Raises as `render`.
        """
        return self.continuation(self.render(messages, variables))

    def render(
        self, messages: Sequence[Mapping[str, Any]], variables: Mapping[str, Any] = _NONE
    ) -> str:
        """The text of a conversation up to where the assistant speaks.

        Args:
            variables: what the template may look at beside the messages, `enable_thinking` say.

        Raises:
            BadInput: there is no template, or it refuses the messages or the variables.
        """
        if not self.has_chat_template:
            raise bad(
                self.where,
                "it has no chat template, but chat was requested",
                "Add chat_template.jinja, set `tokenizer:` to another model, or set chat: false.",
            )
        [found] = self.render_all([messages], variables)
        if isinstance(found, BadInput):
            raise found
        return found

    def render_all(
        self, chats: Sequence[Sequence[Mapping[str, Any]]], variables: Mapping[str, Any] = _NONE
    ) -> list[str | BadInput]:
        """The text of each conversation, or why it has none; many at once are cheap."""
        named = {key: _written(each) for key, each in self.tokenizer.special_tokens_map.items()}
        words = self.words
        chats = [[thawed(each) for each in words.spoken(messages)] for messages in chats]
        template = words.template
        template = self.tokenizer.get_chat_template() if template is None else pinned(template)
        given = {**named, **thawed(variables)}
        file = None if words.template is None else words.file
        return rendered(self.files, self.where, template, given, chats, file)

    def continuation(self, text: str) -> list[int]:
        """Ids of a text that goes on from what is there: no special tokens are added."""
        return [int(each) for each in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def split(self, text: str, boundary: int) -> tuple[list[int], int]:
        """Ids of a text, no special tokens added, and the first that reaches past a character.

        Two tokens of one character go together, and so do a token of whitespace and the one that
        it is part of. A tokenizer written in Python gives no offsets: there the tokens count as
        before the boundary that the text before it has as well.

        Args:
            boundary: number of characters before it.

        Returns:
            ids, and how many of them lie before the boundary with all their characters.
        """
        if not self.tokenizer.is_fast:
            ids, before = self.continuation(text), self.continuation(text[:boundary])
            pairs = enumerate(zip(ids, before, strict=False))
            same = min(len(ids), len(before))
            return ids, next((i for i, (a, b) in pairs if a != b), same)
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids = [int(each) for each in found["input_ids"]]
        spans = found["offset_mapping"]
        for place, (start, end) in enumerate(spans):
            if end > boundary or start >= boundary:
                return ids, place + self._bytes_before(text, ids[place:], spans[place:], boundary)
        return ids, len(ids)

    def _bytes_before(
        self, text: str, ids: Sequence[int], spans: Sequence[tuple[int, int]], boundary: int
    ) -> int:
        """How many of the first ids are bytes of characters before the boundary.

        A Unigram model that falls back to bytes gives the bytes of all characters in a row that it
        does not know one span.
        """
        start, end = spans[0]
        if start >= boundary:
            return 0
        size = next((i for i, each in enumerate(spans) if each != spans[0]), len(spans))
        names = map(_BYTE.fullmatch, self.tokenizer.convert_ids_to_tokens(list(ids[:size])))
        spelled = bytes(int(each[1], 16) for each in names if each)
        whole = len(spelled) == size and spelled == text[start:end].encode()
        return len(text[start:boundary].encode()) if whole else 0

    def decode(self, ids: Sequence[int], marker: str = "") -> str:
        """The text of ids, special tokens left out, spaces as they are.

        Args:
            marker: stays, should it be a special token.
        """
        ids, special = list(ids), self._special(marker)
        parts: list[list[int]] = [[]]
        for each in ids:
            if each == special:
                parts.append([])
            else:
                parts[-1].append(each)
        return marker.join(
            str(
                self.tokenizer.decode(
                    part, skip_special_tokens=True, clean_up_tokenization_spaces=False
                )
            )
            for part in parts
        )

    def _special(self, text: str) -> int | None:
        """The id of a special token, by its text."""
        if text not in self._markers:
            tokens = self.tokenizer.added_tokens_decoder.items() if text else ()
            found = (int(each) for each, token in tokens if token.special and str(token) == text)
            self._markers[text] = next(found, None)
        return self._markers[text]
