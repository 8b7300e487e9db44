"""A text by its tokens: which characters each of them brought.

    ids      E2   82   AC   ' is'
    pieces   ''   ''   '€'  ' is'

A character of several tokens comes with the last of them, so that the pieces join to the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def token_texts(decode: Callable[[Sequence[int]], str], ids: Sequence[int], text: str) -> list[str]:
    """The piece of each id; joined they are the text.

    Args:
        decode: ids to text; of the first few ids it is that of all as far as it goes, but for a
            character that is not complete.
        text: the decoded ids, or how they begin, where a stop ended it: ids behind that have "".
    """
    found, done = [], 0
    for count in range(1, len(ids) + 1):
        known = text if count == len(ids) else decode(ids[:count])
        start, most = done, min(len(known), len(text))
        while done < most and known[done] == text[done]:
            done += 1
        found.append(text[start:done])
    return found
