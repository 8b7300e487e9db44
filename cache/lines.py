"""The lines of a journal: sealed when they are written, checked when they are read.

    {"kind":"score", … ,"sequence":7,"crc":"1a2b3c4d"}⏎

A line ends in the CRC-32 of everything before it, which detects any damage to a byte or to a run of
up to four. It is still JSON, so that Arrow reads many lines in one call. Lines of the first schema
have no checksum: they count if they can be read.

A damaged line affects only itself; the rows around it stay. A damaged newline joins two rows, which
are told apart again by their checksums; a byte that became a newline leaves two pieces of one row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

SCHEMA = 2
UNSEALED = 1  # the last schema whose lines have no checksum
SEAL = b',"crc":"%08x"}'
LENGTH = len(SEAL % 0)
DIGITS = slice(SEAL.index(b"%"), SEAL.index(b"%") + 8)
if TYPE_CHECKING:
    import numpy as np

HEX = b"0123456789abcdef"
NEWLINE = ord("\n")
BEGIN = b'{"kind":"'
HEADER = b'{"kind":"journal",'
_SEAL = re.compile(rb',"crc":"([0-9a-f]{8})"\}')
_BEGIN = re.compile(re.escape(BEGIN))
_STARTS = 16
_DECODER = json.JSONDecoder()


def seal(text: str) -> bytes:
    """A JSON object as a line with its checksum; `text` is ASCII and not `{}`."""
    body = text[:-1].encode("ascii")
    return body + SEAL % crc32(body) + b"\n"


def sealed(line: bytes) -> bool:
    """Whether a line, without its newline, is as it was written."""
    return line[-LENGTH:] == SEAL % crc32(line[:-LENGTH])


def ends_of(data: bytes) -> np.ndarray:
    """The byte after each newline, int64."""
    import numpy as np  # a shell's worker is started without it

    return np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE) + 1


def all_sealed(data: bytes, ends: np.ndarray) -> bool:
    """`sealed` of all lines, which end as `ends_of` says, in a fraction of the time."""
    import numpy as np  # a shell's worker is started without it

    begins = np.concatenate([[0], ends])[:-1]
    seals = ends - 1 - LENGTH
    if (seals < begins).any():
        return False
    view = memoryview(data)
    places = zip(begins.tolist(), seals.tolist(), strict=True)
    sums = np.array([crc32(view[begin:seal]) for begin, seal in places], ">u4").view(np.uint8)
    digits = np.frombuffer(HEX, np.uint8)[np.stack([sums >> 4, sums & 15], axis=1)].reshape(
        len(ends), 8
    )
    found = np.frombuffer(data, np.uint8)[seals[:, None] + np.arange(LENGTH)]
    rest = np.frombuffer(SEAL % 0, np.uint8)
    return bool(
        (found[:, DIGITS] == digits).all()
        and (found[:, : DIGITS.start] == rest[: DIGITS.start]).all()
        and (found[:, DIGITS.stop :] == rest[DIGITS.stop :]).all()
    )


@dataclass(frozen=True)
class Span:
    """Bytes `start` to `end` of a journal: a row (its newline included), or what is damaged."""

    start: int
    end: int
    good: bool


class Bad(NamedTuple):
    """Bytes of a journal that are no row, and where they begin."""

    start: int
    data: bytes


def schema_of(line: bytes) -> int | None:
    """The schema that the first line of a journal names, None if it is damaged or no header.

    A header of a newer version counts only with its checksum: a digit may have flipped.
    """
    try:
        found: Any = json.loads(line)
        schema = found["schema"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if type(schema) is not int or not line.startswith(HEADER):
        return None
    if schema == UNSEALED:
        return None if "crc" in found else schema
    return schema if sealed(line) else None


def whole(data: bytes) -> int:
    """How many bytes of `data` are whole lines.

    What follows the last newline was never acknowledged; unless a whole row stands there and a byte
    more after it: that one was the newline.
    """
    end = data.rfind(b"\n") + 1
    tail = data[end:]
    if b"}" not in tail[:-1]:
        return end
    rows = [each for each in _found_again(tail, 0, len(tail), None) if each.good]
    return end + rows[-1].end if rows and rows[-1].end <= len(tail) else end


def spans(data: bytes, start: int, schema: int | None) -> list[Span]:
    """The rows of whole lines, each with its newline, and what is damaged among them.

    Args:
        start: where `data` begins in its journal.
        schema: of the journal; None if its header is damaged, and each line speaks for itself.
    """
    found: list[Span] = []
    place = 0
    while place < len(data):
        newline = data.find(b"\n", place)
        end = len(data) if newline < 0 else newline
        line = data[place:end]
        after = min(end + 1, len(data))
        if sealed(line) or (not _was_sealed(line, schema) and _is_object(line)):
            found.append(Span(start + place, start + after, True))
        else:
            for each in _found_again(line, start + place, start + after, schema):
                goes_on = not data.startswith(BEGIN, each.start - start)
                if found and goes_on and not each.good and not found[-1].good:
                    # the other piece of a line in which a byte became a newline
                    found[-1] = Span(found[-1].start, each.end, False)
                else:
                    found.append(each)
        place = after
    return found


def _was_sealed(line: bytes, schema: int | None) -> bool:
    """Whether this line was written with a checksum, or is a header that says it was not."""
    if schema is None:
        return line.startswith(HEADER) or b'"sequence":' in line or b'"crc":' in line
    return schema != UNSEALED


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _found_again(line: bytes, start: int, after: int, schema: int | None) -> list[Span]:
    """The rows in a line that is none, and what lies between them.

    Args:
        start: where the line begins in its journal.
        after: where the next one does.
    """
    found: list[Span] = []
    done = 0
    rows = _sealed_rows(line) if _was_sealed(line, schema) else _plain_rows(line)
    for begin, end in rows:
        if begin > done:
            found.append(Span(start + done, start + begin, False))
        found.append(Span(start + begin, start + end + 1, True))
        done = end
    if done < len(line) or not line:
        found.append(Span(start + done, after, False))
    return found


def _sealed_rows(line: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of the rows in a line that their checksums tell to be whole."""
    done = 0
    for mark in _SEAL.finditer(line):
        begins = [each.start() for each in _BEGIN.finditer(line, done, mark.start())]
        for begin in dict.fromkeys((done, *begins[-_STARTS:])):
            if begin < mark.start() and crc32(line[begin : mark.start()]) == int(mark[1], 16):
                yield begin, mark.end()
                done = mark.end()
                break


def _plain_rows(line: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of the JSON objects in a line of rows that have no checksum."""
    text, done = line.decode("latin-1"), 0  # a character a byte
    for mark in _BEGIN.finditer(line):
        if mark.start() >= done:
            try:
                _, end = _DECODER.raw_decode(text, mark.start())
            except (ValueError, RecursionError):
                continue
            if line[mark.start() : end].isascii():
                yield mark.start(), end
                done = end
