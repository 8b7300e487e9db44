"""Rows to token ids, each text once for all points of a family.

With chat, or for messages, the prompt goes through the chat template up to where the assistant
speaks, and a target ends with the end token. Otherwise the prompt is fed as it is, and a target is
its own tokens. A choice is the tokens of " " + choice, whatever stands before it.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from engine.scoring.data import Row

Ids = tuple[int, ...]

KEPT = 1 << 16
"""Texts whose ids are remembered for the next point."""


class TextCodec(Protocol):
    """What is needed of `engine.family.text.Text`."""

    @property
    def end_ids(self) -> frozenset[int]: ...
    @property
    def end_token(self) -> int: ...
    def encode(self, prompt: str, chat: bool) -> list[int]: ...
    def encode_messages(self, messages: Sequence[Mapping[str, str]]) -> list[int]: ...
    def continuation(self, text: str) -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> str: ...


class Encoder:
    """Token ids of rows, each text encoded once for all points of a family."""

    def __init__(self, text: TextCodec) -> None:
        # weak: the table of encoders must not keep a closed family's tokenizer alive
        self._text = weakref.ref(text)
        self._known: dict[tuple[Any, ...], Ids] = {}

    @property
    def text(self) -> TextCodec:
        text = self._text()
        if text is None:
            raise ReferenceError("the family of this encoder is closed")
        return text

    def _remember(self, key: tuple[Any, ...], ids: Sequence[int]) -> Ids:
        if len(self._known) >= KEPT:
            self._known.clear()
        return self._known.setdefault(key, tuple(ids))

    def prompt(self, row: Row, chat: bool) -> Ids:
        """What the model reads before it answers."""
        key = ("prompt", row.key, row.messages is None, chat)
        found = self._known.get(key)
        if found is not None:
            return found
        if row.messages is not None:
            return self._remember(key, self.text.encode_messages(row.messages))
        return self._remember(key, self.text.encode(row.prompt or "", chat))

    def continuation(self, text: str) -> Ids:
        key = ("continuation", text)
        found = self._known.get(key)
        return found if found is not None else self._remember(key, self.text.continuation(text))

    def target(self, row: Row, chat: bool) -> Ids:
        """The first target, the end token appended where a template wrote the prompt."""
        ids = self.continuation(row.targets[0])
        return (*ids, self.text.end_token) if chat or row.messages is not None else ids

    def choices(self, row: Row) -> tuple[Ids, ...]:
        return tuple(self.continuation(f" {choice}") for choice in row.choices)


_ENCODERS: weakref.WeakKeyDictionary[TextCodec, Encoder] = weakref.WeakKeyDictionary()


def encoder(text: TextCodec) -> Encoder:
    """The encoder of a family's text, the same at every call."""
    found = _ENCODERS.get(text)
    if found is None:
        found = _ENCODERS[text] = Encoder(text)
    return found
