"""The bytes that a token adds to a text, behind another one.

A tokenizer's decoder gives texts, not bytes: a token that holds part of a character decodes to
U+FFFD. Byte-level tokenizers (GPT-2's alphabet) and byte fallback (`<0x0A>`) name such bytes.
"""

from __future__ import annotations

import re

from engine.family.text import Text

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_HALF = "\ufffd"


def _alphabet() -> dict[str, int]:
    """GPT-2's letters for bytes: itself where it is visible, else one from U+0100 on."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [each for each in range(256) if each not in seen]
    return {chr(each): each for each in seen} | {chr(256 + n): each for n, each in enumerate(rest)}


LETTERS = _alphabet()


class TokenBytes:
    """Bytes of tokens, each found once.

    Args:
        text: the tokenizer.
    """

    def __init__(self, text: Text) -> None:
        self._text = text
        self._anchor = text.continuation("a")[-1:]
        self._before = text.decode(self._anchor)
        self._known: dict[int, bytes] = {}

    def __call__(self, token: int) -> bytes:
        """The bytes that a token adds; none for a special one."""
        found = self._known.get(token)
        if found is None:
            found = self._known[token] = self._found(token)
        return found

    def first(self, token: int) -> bytes:
        """The bytes of a token that begins a text: some decoders drop the space before it."""
        alone = self._text.decode([token])
        return self(token) if _HALF in alone else alone.encode()

    def name(self, token: int, spelled: bytes) -> str:
        """A token as a text: what it adds, or what it is called where that is nothing."""
        called = self._text.tokenizer.convert_ids_to_tokens(token)
        return spelled.decode("utf-8", "replace") or str(called or f"<{token}>")

    def _found(self, token: int) -> bytes:
        both = self._text.decode([*self._anchor, token])
        if _HALF not in both:
            return both.removeprefix(self._before).encode()
        name = str(self._text.tokenizer.convert_ids_to_tokens(token))
        if spelled := _BYTE.fullmatch(name):
            return bytes([int(spelled[1], 16)])
        if all(each in LETTERS for each in name):
            return bytes(LETTERS[each] for each in name)
        return both.removeprefix(self._before).encode()
