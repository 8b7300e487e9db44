"""Compaction: journals whose writers are dead become a segment, small segments one.

    journal/a.jsonl  journal/b.jsonl   ──►   segments/c.parquet, which says {a: bytes, b: bytes}

Nothing unreadable is deleted: damaged parts of a journal are first set aside on disk, and if that
fails the journal stays. Files of earlier builds are rewritten with checksums.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cache.arrow import pa
from cache.damage import Damaged
from cache.journal import (
    SUFFIX,
    UNFINISHED,
    cut_short,
    list_journals,
    sync_directory,
    try_lock,
)
from cache.lines import Bad
from cache.segments import (
    PARQUET,
    Unreadable,
    checksum_of,
    list_segments,
    load_segment,
    remove_segment,
    write_segment,
)
from cache.tables import journal_tables
from engine.errors import BadInput

log = logging.getLogger(__name__)

SMALL = 8 << 20
HOUR = 3600.0
SETTLED = 0.05
"""Seconds within which the maker of a file has locked it."""

SetAside = Callable[[Path, Sequence[Bad]], bool]
"""(journal, what is damaged in it) -> whether that is on disk elsewhere now."""

Mend = Callable[[str], bool]
"""Name of a damaged segment -> whether it is whole now; aside where it is not."""


def compact(
    journals: Path,
    segments: Path,
    least: int = 8,
    large: int = 1 << 20,
    set_aside: SetAside | None = None,
    mend: Mend | None = None,
) -> int:
    """Move the journals of dead writers into one segment; the caller must be the only one to do so.

    Nothing is done for fewer than `least` of them that hold less than `large` bytes together: a
    segment is not worth its file then. Small segments are merged when there are `least` of them.

    Args:
        set_aside: keeps what is damaged; under `damaged/` beside the journals by default.
        mend: repairs a damaged segment; where it is None, one stays as it is.

    Returns:
        How many journals went.
    """
    remove_unfinished(journals, segments)
    sizes = list_journals(journals)
    held: dict[str, int] = {}
    try:
        for name in sizes:
            try:
                descriptor = os.open(journals / f"{name}{SUFFIX}", os.O_RDONLY)
            except OSError as error:
                log.warning("%s%s was left unchanged (%s)", name, SUFFIX, error)
                continue
            if try_lock(descriptor):
                held[name] = descriptor
            else:
                os.close(descriptor)
        enough = len(held) >= least or sum(sizes[name] for name in held) >= large
        kept = set_aside or Damaged(journals.parent).lines
        gone = _compact(journals, segments, list(held), kept) if enough else 0
    finally:
        for descriptor in held.values():
            os.close(descriptor)
    merge(segments, least, mend)
    return gone


def _compact(journals: Path, segments: Path, names: list[str], set_aside: SetAside) -> int:
    sources: dict[str, int] = {}
    try:
        write_segment(segments, _rows(journals, names, sources, set_aside), sources)
    except _NotKept as error:  # no room for what is damaged: the journals hold it still
        log.warning("journals not compacted: %s", error)
        return 0
    for name in sources:
        (journals / f"{name}{SUFFIX}").unlink()
    if sources:
        sync_directory(journals)
        log.info("compacted %d journals", len(sources))
    return len(sources)


class _NotKept(Exception):
    """What is damaged in a journal could not be set aside."""


def _rows(
    journals: Path, names: Sequence[str], sources: dict[str, int], set_aside: SetAside
) -> Iterator[pa.Table]:
    """The rows of journals, and in `sources` up to which byte each was read, once it was."""
    for name in names:
        path, end, damaged = journals / f"{name}{SUFFIX}", 0, []
        try:
            for table, upto, bad in journal_tables(path, 0, path.stat().st_size):
                yield table
                damaged += bad
                end = upto
        except BadInput as error:
            log.warning("%s", error)
            continue
        if torn := path.stat().st_size - end:
            with open(path, "rb") as file:
                file.seek(end)
                damaged += _torn(path, Bad(end, file.read(torn)))
        if damaged and not set_aside(path, damaged):
            raise _NotKept(str(path))
        sources[name] = end


def _torn(path: Path, tail: Bad) -> list[Bad]:
    """What stands after the last whole line, where it is more than a write that was cut short."""
    if cut_short(tail):
        log.warning(
            "%s: dropped an incomplete last line (%d bytes, never acknowledged)",
            path,
            len(tail.data),
        )
        return []
    return [tail]


def merge(segments: Path, least: int = 8, mend: Mend | None = None) -> None:
    """Merge small segments when there are `least`, and write those of earlier builds again; the
    caller must be the only one to."""
    names = list_segments(segments)
    small = [name for name in names if (segments / name).stat().st_size < SMALL]
    chosen = [name for name in names if checksum_of(name) is None]
    if len(small) >= least:
        chosen = [name for name in names if name in {*small, *chosen}]
    if not chosen:
        return
    known: dict[str, int] = {}
    tables: list[Iterator[pa.Table]] = []
    merged = []
    for name in chosen:
        before = dict(known)  # the rows are read later, when more is known
        try:
            try:
                rows, sources = load_segment(segments / name, before)
            except Unreadable:
                if mend is None or not mend(name):
                    raise
                rows, sources = load_segment(segments / name, before)
        except BadInput as error:
            log.warning("%s", error)
            continue
        tables.append(rows)
        merged.append(name)
        for source, end in sources.items():
            known[source] = max(known.get(source, 0), end)
    if not merged:
        return
    write_segment(segments, itertools.chain.from_iterable(tables), known)
    for name in merged:
        remove_segment(segments / name)
    sync_directory(segments)


def remove_unfinished(*directories: Path) -> None:
    """Remove what writers that were killed left half made: a journal that nobody holds, and all
    else once it is an hour old, or as far ahead of a clock that was set back."""
    for directory in directories:
        with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
            for entry in entries:
                if not entry.name.endswith(UNFINISHED):
                    continue
                age = abs(time.time() - entry.stat().st_mtime)
                if age > HOUR or (age > SETTLED and _is_let_go(entry.path)):
                    os.unlink(entry.path)


def _is_let_go(path: str) -> bool:
    """Whether this is a journal whose maker is gone: it locks the file as soon as it is there."""
    if path.endswith(f"{PARQUET}{UNFINISHED}"):
        return False  # segments are written without a lock
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
