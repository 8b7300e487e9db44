"""A damaged segment is repaired from its twin, or moved away.

segment ≠ its checksum, twin = its checksum     the twin's bytes take its place
both ≠, at different places                     the mixture of the two that has the checksum
nothing has it                                  both go to `damaged/`, and what the index still
                                                holds of their rows is saved (`cache.rescue`)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from zlib import crc32

import numpy as np

from cache.arrow import pa, pq
from cache.damage import Damaged
from cache.segments import TWIN, checksum_of, place, sources_in, sum_of, twin_of
from engine.counted import counted
from engine.errors import ParetoscopeError

NEAR = 512
PLACES = 10
GIVEN_BACK = "it was missing or unreadable; restored from its twin"
REWRITTEN = "it was missing or unreadable; rewritten from the file it mirrors"


Elsewhere = Callable[[Mapping[str, int]], bool]
"""Journal name -> bytes of it that a segment holds; whether other files hold them too."""


def mend(segment: Path, damaged: Damaged, elsewhere: Elsewhere = lambda sources: False) -> bool:
    """Make a segment and its twin what their name says; whether the segment is so now.

    What was damaged is set aside first, what was gone is reported. A twin on its own is reported
    only where no other file holds its rows: a segment's twin comes first and goes last, so a kill
    leaves it too. A file that cannot be written is left as it is.

    Raises:
        OSError: a file is there and cannot be read, and the other does not make up for it.
    """
    wanted = checksum_of(segment.name)
    if wanted is None:
        return False
    pair = [segment, twin_of(segment)]
    found: list[bytes | None] = []
    unread: OSError | None = None
    for each in pair:
        try:
            found.append(each.read_bytes())
        except OSError as error:
            found.append(None)
            unread = unread if isinstance(error, FileNotFoundError) else error
    whole = next((each for each in found if each is not None and crc32(each) == wanted), None)
    if whole is None and found[0] is not None and found[1] is not None:
        whole = _mixed(found[0], found[1], wanted)
    if whole is None:
        if unread is not None:
            raise unread
        return False
    for path, data in zip(pair, found, strict=True):
        if data == whole:
            continue
        if data is None:
            if path is not segment:
                outcome = REWRITTEN
            elif path.exists() or not elsewhere(sources_in(segment, whole)):
                outcome = GIVEN_BACK
            else:
                outcome = ""  # nothing was damaged
            if outcome:
                damaged.keep(path, b"", held=_rows(whole), outcome=outcome)
        else:
            places = _places(whole, data)
            first, last = places[0][0], places[-1][1]
            known = damaged.keep(
                path,
                data[first:last],
                held=f"a part of {_rows(whole)}",
                byte=first,
                outcome=f"repaired: its {'twin' if path is segment else 'original'} was whole"
                if whole in found
                else "repaired from the intact parts of both copies",
            )
            if not known:
                continue
        try:
            place(path, whole)
        except ParetoscopeError:
            if path is segment:
                return False
    return True


def give_up(segment: Path, damaged: Damaged) -> bool:
    """Move a segment that nothing repairs, and its twin, to `damaged/`; False if that fails."""
    moved = True
    for path in (twin_of(segment), segment):
        if path.exists():
            moved &= damaged.move(
                path,
                held="a segment of saved points",
                outcome="moved there whole; rows found elsewhere or in the index are kept",
            )
    return moved


def unmatched(directory: Path) -> list[str]:
    """Names of segments whose twin alone is there."""
    try:
        names = {each.name for each in directory.iterdir()}
    except OSError:
        return []
    return sorted(
        name.removesuffix(TWIN)
        for name in names
        if name.endswith(TWIN) and name.removesuffix(TWIN) not in names
    )


def check_segment(segment: Path) -> bool:
    """Whether a segment and its twin are there and are what their name says."""
    wanted = checksum_of(segment.name)
    if wanted is None:
        return True
    return all(path.exists() and sum_of(path) == wanted for path in (segment, twin_of(segment)))


def _places(one: bytes, two: bytes, near: int = NEAR) -> list[tuple[int, int]]:
    """Where two files differ, places nearer than `near` bytes taken as one."""
    length = min(len(one), len(two))
    differ = np.flatnonzero(
        np.frombuffer(one, np.uint8, length) != np.frombuffer(two, np.uint8, length)
    ).tolist()
    if len(one) != len(two):
        differ.append(length)
    places: list[tuple[int, int]] = []
    for byte in differ:
        if places and byte - places[-1][1] < near:
            places[-1] = places[-1][0], byte + 1
        else:
            places.append((byte, byte + 1))
    if len(one) != len(two):
        places[-1] = places[-1][0], max(len(one), len(two))
    return places


def _mixed(one: bytes, two: bytes, wanted: int) -> bytes | None:
    """The mixture of two files of one length that has the checksum, None if none has."""
    if len(one) != len(two):
        return None
    for near in (1, NEAR):
        places = _places(one, two, near)
        if not 0 < len(places) <= PLACES:
            continue
        for choice in itertools.product((False, True), repeat=len(places)):
            mixed = bytearray(one)
            for (start, end), other in zip(places, choice, strict=True):
                if other:
                    mixed[start:end] = two[start:end]
            if crc32(mixed) == wanted:
                return bytes(mixed)
    return None


def _rows(data: bytes) -> str:
    try:
        count = pq.ParquetFile(pa.BufferReader(data)).metadata.num_rows
        return f"{counted(count, 'row')} of saved points"
    except pa.ArrowException:
        return "saved points"
