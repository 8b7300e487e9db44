"""Stop strings: where a generated text is cut, and whether it has already ended.

A stop may span tokens, and its last character may come with a token that holds more, so only
decoded text tells. While decoding, a row is looked at only when its newest token could end a stop,
and then only its tail is decoded; the tail is long enough to hold any stop, since every token adds
at least one byte or nothing visible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]

_SLACK = 8
"""Tokens in front of the tail: one may lose its leading space, some add nothing visible."""


def cut(text: str, stops: Sequence[str], after: str = "") -> str:
    """The text up to the first occurrence of any stop behind the first `after`.

    A stop within what stands before an answer (a blank line between two thoughts, say) ends
    nothing.
    """
    start = _start(text, after)
    places = [place for stop in stops if (place := text.find(stop, start)) >= 0]
    return text[: min(places)] if places else text


def _start(text: str, after: str) -> int:
    place = text.find(after)
    return len(text) if place < 0 else place + len(after)


def answer_in(text: str, after: str) -> str | None:
    """What stands behind the last `after`, as lm-eval's think_end_token; None if there is none:
    a reasoning that is cut off holds no answer, whatever it says."""
    if not after:
        return text
    return text.rpartition(after)[2] if after in text else None


class StopWatch:
    """Whether the text of a row's tokens so far contains a stop; called once after each new token.

    A stop that is seen late costs time and never changes the text, which `cut` ends at the same
    place; so a rule of thumb may miss, but a hit is confirmed on the whole text.

    Args:
        stops: at least one text, none empty.
        decode: token ids to text.
        after: stops count behind the first of it alone.
    """

    def __init__(self, stops: Sequence[str], decode: Decode, after: str = "") -> None:
        self._stops = tuple(stops)
        self._after = after
        self._decode = decode
        self._last = {stop[-1] for stop in stops}
        self._window = max(len(stop.encode()) for stop in stops) + _SLACK
        self._ends: dict[int, bool] = {}

    def _may_end(self, token: int) -> bool:
        """Whether the token holds the last character of a stop, or a part of a character."""
        known = self._ends.get(token)
        if known is None:
            # twice: decoders may drop a leading space, never that of the second
            piece = self._decode([token, token])
            known = not piece or "\ufffd" in piece or not self._last.isdisjoint(piece)
            self._ends[token] = known
        return known

    def __call__(self, row: int, token_ids: list[int]) -> bool:
        if not token_ids or not self._may_end(token_ids[-1]):
            return False
        tail = self._decode(token_ids[-self._window :])
        if not any(stop in tail for stop in self._stops):
            return False
        if len(token_ids) <= self._window and not self._after:
            return True
        whole = self._decode(token_ids)
        return cut(whole, self._stops, self._after) != whole
