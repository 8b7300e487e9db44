"""An answer while it is written: which text is certain already, and which tokens stand in it.

Text is told once nothing can change it: half a character waits for the rest, and the beginning of
a stop waits until it turns out to be none. So the parts of a stream, put together, are the text
that a request without a stream gets, which is the text of `engine generate`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.decoding.loop import Generation
from engine.family.text import Text
from engine.scoring.stops import cut
from engine.serving.asking import Ask
from engine.serving.likely import Likely, Watch
from engine.serving.token_bytes import TokenBytes
from engine.worker.outbox import TEXT_SECONDS

Reason = Literal["stop", "length"]


@dataclass(frozen=True)
class Piece:
    """What an answer grows by.

    Attributes:
        row: which of the answers.
        likely: the tokens that begin in this text, where they were asked for.
        reason: why the answer ends with this piece; None: it goes on.
    """

    row: int
    text: str
    likely: tuple[Likely, ...] = ()
    reason: Reason | None = None


@dataclass(frozen=True)
class Done:
    """The end of all answers of a request.

    Attributes:
        answers: each as one piece.
        completion_tokens: of all answers, those of a stop included, end tokens not.
    """

    answers: tuple[Piece, ...]
    completion_tokens: int


def certain(text: str, stops: Sequence[str]) -> str:
    """How much of a text that still grows stays as it is.

    >>> certain("one, tw", ["two"])
    'one, '
    """
    whole = cut(text, stops)
    if whole != text:
        return whole
    text = text.rstrip("\ufffd")
    for stop in stops:
        for size in range(min(len(stop) - 1, len(text)), 0, -1):
            if text.endswith(stop[:size]):
                whole = min(whole, text[:-size], key=len)
                break
    return min(whole, text, key=len)


@dataclass(eq=False)
class _Row:
    """Attributes:
    told, told_tokens: what was told of the text, and of `likely`.
    grown: whether there is more since.
    """

    ids: list[int] = field(default_factory=list)
    likely: list[Likely] = field(default_factory=list)
    told: str = ""
    told_tokens: int = 0
    grown: bool = False


class Writing:
    """The answers of one request; `on_logits` and `on_tokens` are the decode loop's.

    Args:
        text: the tokenizer, used on the thread that decodes alone.
        tell: takes the pieces of a stream.
    """

    def __init__(
        self, ask: Ask, rows: int, text: Text, spell: TokenBytes, tell: Callable[[Piece], None]
    ) -> None:
        self._ask, self._text, self._tell = ask, text, tell
        self._rows = [_Row() for _ in range(rows)]
        self._watch = None if ask.top is None else Watch(ask.top, spell)
        self._next = 0.0

    @property
    def on_logits(self) -> Callable[..., None] | None:
        return None if self._watch is None else self._watch.look

    def count(self, index: int) -> int:
        """Tokens that a row has by now."""
        return len(self._rows[index].ids)

    def on_tokens(self, index: int, token: int) -> None:
        row = self._rows[index]
        row.ids.append(token)
        row.grown = True
        if self._watch is not None:
            row.likely.append(self._watch.of(index, token))

    def rest(self) -> None:
        """Between two steps: tell what is certain, at most every 30 ms."""
        now = time.monotonic()
        if not self._ask.stream or now < self._next:
            return
        self._next = now + TEXT_SECONDS
        for index, row in enumerate(self._rows):
            if row.grown:
                row.grown = False
                text = certain(self._text.decode(row.ids), self._ask.stops)
                if len(text) > len(row.told) and text.startswith(row.told):
                    self._tell(self._piece(index, text))

    def finish(self, generations: Sequence[Generation]) -> Done:
        """All answers, and to a stream their ends.

        Raises:
            ValueError: the tokenizer's decoder has changed text that was told.
        """
        answers = []
        for index, (row, each) in enumerate(zip(self._rows, generations, strict=True)):
            whole = self._text.decode(each.token_ids)
            text = cut(whole, self._ask.stops)
            # a stop that was seen late ends the answer all the same
            reason: Reason = "length" if each.ended == "length" and text == whole else "stop"
            if not text.startswith(row.told):
                raise ValueError("the tokenizer changes text that was sent already")
            if self._ask.stream:
                self._tell(self._piece(index, text, text == whole, reason))
            count = _tokens_in(row.likely, text, text == whole)
            answers.append(Piece(index, text, tuple(row.likely[:count]), reason))
        return Done(tuple(answers), sum(len(each.token_ids) for each in generations))

    def _piece(
        self, index: int, text: str, all_of_it: bool = False, reason: Reason | None = None
    ) -> Piece:
        """What is new of a text."""
        row = self._rows[index]
        count = max(row.told_tokens, _tokens_in(row.likely, text, all_of_it))
        likely = tuple(row.likely[row.told_tokens : count])
        piece = Piece(index, text[len(row.told) :], likely, reason)
        row.told, row.told_tokens = text, count
        return piece


def _tokens_in(likely: Sequence[Likely], text: str, all_of_it: bool) -> int:
    """How many of the tokens begin within a text; those at its end too where nothing is cut."""
    return len(likely) if all_of_it else sum(each.start < len(text) for each in likely)
