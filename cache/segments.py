"""Segments: the journals of dead writers, compacted to Parquet, each kept twice.

    <time>-<random>.<crc>.parquet     rows, and metadata that says {journal: bytes of it}
    <time>-<random>.<crc>.parquet.twin    the same bytes

The name holds the CRC-32 of the file, so a segment is either what its name says or damaged, and
then its twin mends it (`cache.mending`). Segments of earlier builds have neither; they count where
they can be read, and compaction writes them anew.

A reader knows up to which byte it has read each journal, so it takes from a segment exactly the
rows it lacks: a segment beside the journals it was made from (killed between rename and unlink), or
beside the smaller segments it replaces, adds nothing twice.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cache.journal import UNFINISHED, make_directory, storage_error, sync_directory
from cache.tables import COLUMNS, readable
from engine.errors import BadInput, bad

SCHEMA = 2
METADATA = b"paretoscope"
PARQUET = ".parquet"
TWIN = ".twin"
_SEALED = re.compile(r"\.([0-9a-f]{8})\.parquet(?:\.twin)?$")


class Unreadable(BadInput):
    """The bytes of a segment are not those that were written."""


def checksum_of(name: str) -> int | None:
    """The CRC-32 that a segment's name holds, None where it holds none."""
    found = _SEALED.search(name)
    return int(found[1], 16) if found else None


def list_segments(directory: Path) -> list[str]:
    """Names of the segments there are, oldest first."""
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if entry.name.endswith(PARQUET))
    return []


def twin_of(path: Path) -> Path:
    return path.with_name(path.name + TWIN)


def segment_sources(path: Path) -> dict[str, int]:
    """Journal name -> bytes of it that a segment holds, from its footer, which is not verified.

    Raises:
        FileNotFoundError: the segment is gone (merged into a larger one).
        BadInput: it cannot be read, or a newer version wrote it.
    """
    try:
        return _sources(path, pq.read_schema(path))
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, BadInput) as error:
        if checksum_of(path.name) is None or type(error) is BadInput:
            return load_segment(path, {})[1]  # which verifies, or counts the rows
        raise error if isinstance(error, Unreadable) else _unreadable(path, error) from error


def _sources(path: Path, schema: pa.Schema) -> dict[str, int]:
    try:
        metadata = json.loads((schema.metadata or {})[METADATA])
        written = metadata["schema"]
        sources = {str(name): int(end) for name, end in metadata["sources"].items()}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(path, error) from error
    if written in (1, SCHEMA):
        return sources
    if checksum_of(path.name) is None:
        raise _unreadable(path, f"its schema is {written}")
    raise bad(
        str(path),
        f"this segment has schema {written}, this program reads up to {SCHEMA}",
        "Use the newer Paretoscope that wrote it, or another workspace.",
    )


def _unreadable(path: Path, error: object) -> Unreadable:
    return Unreadable(
        *bad(
            str(path),
            f"this segment of saved points cannot be read ({error})",
            "Restore it from a copy, or move it out of the way to go on without its points.",
        ).problems
    )


def load_segment(path: Path, known: Mapping[str, int]) -> tuple[pa.Table, dict[str, int]]:
    """(rows after the byte each journal is `known` up to, journal name -> bytes), verified.

    Raises:
        FileNotFoundError: the segment is gone (merged into a larger one).
        Unreadable: it is damaged.
        BadInput: it cannot be read, or a newer version wrote it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_error(error, path) from error
    wanted = checksum_of(path.name)
    if wanted is not None and crc32(data) != wanted:
        raise _unreadable(path, "its checksum is another")
    try:
        table = pq.read_table(pa.BufferReader(data), schema=COLUMNS, partitioning=None)
        written = pq.ParquetFile(pa.BufferReader(data)).schema_arrow
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if wanted is None and not readable(table):
        raise _unreadable(path, "its texts are damaged")
    try:
        sources = _sources(path, written)
    except Unreadable:
        if wanted is not None:
            raise
        ends = table.group_by("source").aggregate([("position", "max")])
        columns = (ends.column(name).to_pylist() for name in ("source", "position_max"))
        sources = dict(zip(*columns, strict=True))
    return _after(table, known), sources


def read_segment(path: Path, known: Mapping[str, int]) -> pa.Table:
    """The rows of a segment that lie after the byte each journal is `known` up to.

    Raises:
        FileNotFoundError, Unreadable, BadInput: as `load_segment`.
    """
    return load_segment(path, known)[0]


def _after(table: pa.Table, known: Mapping[str, int]) -> pa.Table:
    sources = table.column("source").combine_chunks().dictionary_encode()
    limits = pa.array([known.get(name, 0) for name in sources.dictionary.to_pylist()], pa.int64())
    if not len(limits):
        return table
    return table.filter(pc.greater(table.column("position"), limits.take(sources.indices)))


def write_segment(directory: Path, table: pa.Table, sources: Mapping[str, int]) -> Path:
    """Write a segment and its twin; each is there whole or not at all.

    Raises:
        NotSaved, BadInput: the disk does not take it; nothing is lost then.
    """
    metadata = json.dumps({"schema": SCHEMA, "sources": dict(sources)})
    buffer = io.BytesIO()
    try:
        pq.write_table(
            table.replace_schema_metadata({METADATA: metadata}), buffer, compression="zstd"
        )
    except OSError as error:
        raise storage_error(error, directory) from error
    return _place_twice(directory, f"{time.time_ns():020d}-{secrets.token_hex(4)}", buffer)


def copy_segment(segment: Path, directory: Path) -> Path:
    """Put a segment made elsewhere beside the others, under its own name; once is as good as twice.

    Raises:
        NotSaved, BadInput: the disk does not take it; nothing has changed then.
    """
    buffer = io.BytesIO(segment.read_bytes())
    return _place_twice(directory, _SEALED.sub("", segment.name).removesuffix(PARQUET), buffer)


def _place_twice(directory: Path, name: str, buffer: io.BytesIO) -> Path:
    data = buffer.getbuffer()
    path = directory / f"{name}.{crc32(data):08x}{PARQUET}"
    for each in (path, twin_of(path)):
        if not each.exists():
            place(each, data)
    return path


def place(path: Path, data: bytes | memoryview) -> None:
    """Write a file so that it is there whole or not at all: another name, fsync, rename, fsync.

    Raises:
        NotSaved, BadInput: the disk does not take it; nothing has changed then.
    """
    make_directory(path.parent)
    unfinished = path.with_name(f".{secrets.token_hex(4)}-{path.name}{UNFINISHED}")
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        with open(os.open(unfinished, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise storage_error(error, path) from error


def remove_segment(path: Path) -> None:
    """Remove a segment and its twin; what is left where this is cut short adds nothing twice."""
    twin_of(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
