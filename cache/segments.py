"""Segments: the journals of dead writers, compacted to Parquet.

    journal/a.jsonl  journal/b.jsonl   ──►   segments/c.parquet, which says {a: bytes, b: bytes}

Every row keeps where it came from, as `source` (journal name) and `position` (byte after its line).
A reader knows up to which byte it has read each journal, so it takes from a segment exactly the
rows it lacks: a segment beside the journals it was made from (killed between rename and unlink), or
beside the smaller segments it replaces, adds nothing twice.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cache.journal import (
    SUFFIX,
    UNFINISHED,
    list_journals,
    make_directory,
    storage_error,
    sync_directory,
    try_lock,
)
from cache.tables import COLUMNS, journal_tables
from engine.errors import BadInput, bad

log = logging.getLogger(__name__)

SCHEMA = 2
METADATA = b"paretoscope"
SMALL = 8 << 20
HOUR = 3600.0


def list_segments(directory: Path) -> list[str]:
    """Names of the segments there are, oldest first."""
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if entry.name.endswith(".parquet"))
    return []


def segment_sources(path: Path) -> dict[str, int]:
    """Journal name -> bytes of it that a segment holds.

    Raises:
        FileNotFoundError: the segment is gone (merged into a larger one).
        BadInput: it cannot be read, or a newer version wrote it.
    """
    try:
        metadata = json.loads((pq.read_schema(path).metadata or {})[METADATA])
    except (pa.ArrowInvalid, KeyError, ValueError) as error:
        raise _unreadable(path, error) from error
    if metadata.get("schema") not in (1, SCHEMA):
        raise bad(
            str(path),
            f"this segment has schema {metadata.get('schema')}, this program reads up to {SCHEMA}",
            "Use the newer Paretoscope that wrote it, or another workspace.",
        )
    return {str(name): int(end) for name, end in metadata["sources"].items()}


def _unreadable(path: Path, error: Exception) -> BadInput:
    return bad(
        str(path),
        f"this segment of saved points cannot be read ({error})",
        "Restore it from a copy, or move it out of the way to go on without its points.",
    )


def read_segment(path: Path, known: Mapping[str, int]) -> pa.Table:
    """The rows of a segment that lie after the byte each journal is `known` up to."""
    try:
        table = pq.read_table(path, schema=COLUMNS, memory_map=False, partitioning=None)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise _unreadable(path, error) from error
    sources = table.column("source").combine_chunks().dictionary_encode()
    limits = pa.array([known.get(name, 0) for name in sources.dictionary.to_pylist()], pa.int64())
    if not len(limits):
        return table
    return table.filter(pc.greater(table.column("position"), limits.take(sources.indices)))


def write_segment(directory: Path, table: pa.Table, sources: Mapping[str, int]) -> Path:
    """Write a segment so that it is there whole or not at all: another name, fsync, rename, fsync.

    Raises:
        NotSaved, BadInput: the disk does not take it; nothing has changed then.
    """
    metadata = json.dumps({"schema": SCHEMA, "sources": dict(sources)})
    table = table.replace_schema_metadata({METADATA: metadata})
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.parquet"
    return _place(directory / name, lambda file: pq.write_table(table, file, compression="zstd"))


def copy_segment(segment: Path, directory: Path) -> Path:
    """Put a segment made elsewhere beside the others, under its own name; once is as good as twice.

    Raises:
        NotSaved, BadInput: the disk does not take it; nothing has changed then.
    """
    there = directory / segment.name
    if there.exists():
        return there
    data = segment.read_bytes()
    return _place(there, lambda file: file.write(data))


def _place(path: Path, write: Callable[[BinaryIO], object]) -> Path:
    make_directory(path.parent)
    unfinished = path.with_name(f".{secrets.token_hex(4)}-{path.name}{UNFINISHED}")
    try:
        with open(unfinished, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise storage_error(error, path) from error
    return path


def compact(journals: Path, segments: Path, least: int = 8, large: int = 1 << 20) -> int:
    """Move the journals of dead writers into one segment; the caller must be the only one to do so.

    Nothing is done for fewer than `least` of them that hold less than `large` bytes together: a
    segment is not worth its file then. A journal with a damaged line stays as it is, for a person
    to look at. Small segments are merged when there are `least` of them.

    Returns:
        How many journals went.
    """
    remove_unfinished(journals, segments)
    sizes = list_journals(journals)
    held: dict[str, int] = {}
    try:
        for name in sizes:
            descriptor = os.open(journals / f"{name}{SUFFIX}", os.O_RDONLY)
            if try_lock(descriptor):
                held[name] = descriptor
            else:
                os.close(descriptor)
        enough = len(held) >= least or sum(sizes[name] for name in held) >= large
        gone = _compact(journals, segments, list(held)) if enough else 0
    finally:
        for descriptor in held.values():
            os.close(descriptor)
    merge(segments, least)
    return gone


def _compact(journals: Path, segments: Path, names: list[str]) -> int:
    tables, sources = [], {}
    for name in names:
        path, end, found, damaged = journals / f"{name}{SUFFIX}", 0, [], 0
        try:
            for table, upto, lost in journal_tables(path, 0, path.stat().st_size):
                found.append(table)
                end, damaged = upto, damaged + len(lost)
        except BadInput as error:
            log.warning("%s", error)
            continue
        if damaged:
            continue
        if torn := path.stat().st_size - end:
            log.warning("%s: dropped its torn last line (%d bytes, never saved)", path, torn)
        tables += found
        sources[name] = end
    rows = pa.concat_tables(tables) if tables else COLUMNS.empty_table()
    if rows.num_rows:
        write_segment(segments, rows, sources)
    for name in sources:
        (journals / f"{name}{SUFFIX}").unlink()
    if sources:
        sync_directory(journals)
        log.info("compacted %d journals, %d rows", len(sources), rows.num_rows)
    return len(sources)


def merge(segments: Path, least: int = 8) -> None:
    """Merge the small segments when there are `least`; the caller must be the only one to."""
    small = [name for name in list_segments(segments) if (segments / name).stat().st_size < SMALL]
    if len(small) < least:
        return
    known: dict[str, int] = {}
    tables = []
    for name in small:
        tables.append(read_segment(segments / name, known))
        for source, end in segment_sources(segments / name).items():
            known[source] = max(known.get(source, 0), end)
    write_segment(segments, pa.concat_tables(tables), known)
    for name in small:
        (segments / name).unlink()
    sync_directory(segments)


def remove_unfinished(*directories: Path) -> None:
    """Remove what writers that were killed left half made, once it is an hour old."""
    for directory in directories:
        with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.endswith(UNFINISHED) and time.time() - entry.stat().st_mtime > HOUR:
                    os.unlink(entry.path)
