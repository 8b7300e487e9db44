"""Segments: the journals of dead writers, compacted to Parquet, each kept twice.

    <time>-<random>.<crc>.parquet     rows, and metadata that says {journal: bytes of it}
    <time>-<random>.<crc>.parquet.twin    the same bytes

The name holds the CRC-32 of the file, so a segment is either what its name says or damaged, and
then it is repaired from its twin (`cache.mending`). Segments of earlier builds have neither; they
count if they can be read, and compaction rewrites them.

A reader knows up to which byte it has read each journal, so it takes from a segment exactly the
rows it lacks: a segment beside the journals it was made from (killed between rename and unlink), or
beside the smaller segments it replaces, adds nothing twice.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np

from cache.arrow import numbers, pa, pc, pq
from cache.journal import UNFINISHED, make_directory, storage_error, sync_directory
from cache.tables import AT_A_TIME, columns, reach, readable
from engine.errors import BadInput, bad

SCHEMA = 2
METADATA = b"paretoscope"
PARQUET = ".parquet"
TWIN = ".twin"
CHUNK = 8 << 20
_SEALED = re.compile(r"\.([0-9a-f]{8})\.parquet(?:\.twin)?$")


class Unreadable(BadInput):
    """The bytes of a segment are not those that were written."""


def checksum_of(name: str) -> int | None:
    """The CRC-32 that a segment's name holds, None if it holds none."""
    found = _SEALED.search(name)
    return int(found[1], 16) if found else None


def list_segments(directory: Path) -> list[str]:
    """Names of the segments there are, oldest first."""
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        found = [each.name for each in entries if each.name.endswith(PARQUET) and each.is_file()]
        return sorted(found)
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
        return _sources(path, pq.read_metadata(path).metadata)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, BadInput) as error:
        if checksum_of(path.name) is None or type(error) is BadInput:
            return load_segment(path, {})[1]  # which verifies, or counts the rows
        raise error if isinstance(error, Unreadable) else _unreadable(path, error) from error


def sources_in(path: Path, data: bytes) -> dict[str, int]:
    """`segment_sources` of a segment's bytes, which are verified."""
    return _sources(path, pq.read_metadata(pa.BufferReader(data)).metadata)


def _sources(path: Path, footer: Mapping[bytes, bytes] | None) -> dict[str, int]:
    try:
        metadata = json.loads((footer or {})[METADATA])
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
        f"this segment has schema {written}, this version reads up to {SCHEMA}",
        "Use the newer Paretoscope that wrote it, or a different workspace.",
    )


def _unreadable(path: Path, error: object) -> Unreadable:
    return Unreadable(
        *bad(
            str(path),
            f"this segment of saved points cannot be read ({error})",
            "Restore it from a backup, or move it away to continue without its points.",
        ).problems
    )


def load_segment(path: Path, known: Mapping[str, int]) -> tuple[Iterator[pa.Table], dict[str, int]]:
    """(rows after the byte each journal is `known` up to, journal name -> bytes), verified.

    The rows come `AT_A_TIME` at a time, read as they are asked for.

    Raises:
        FileNotFoundError: the segment is gone (merged into a larger one).
        Unreadable: it is damaged.
        BadInput: it cannot be read, or a newer version wrote it.
    """
    wanted = checksum_of(path.name)
    try:
        if wanted is not None and sum_of(path) != wanted:
            raise _unreadable(path, "its checksum does not match")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_error(error, path) from error
    ends: dict[str, int] = {}
    if wanted is None:  # nothing tells that it is whole, but that all of it can be read
        for rows in rows_in(path):
            if not readable(rows):
                raise _unreadable(path, "its string table is damaged")
            for name, (_, end) in reach(rows).items():
                ends[name] = max(end, ends.get(name, 0))
    try:
        sources = _sources(path, pq.read_metadata(path).metadata)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise _unreadable(path, error) from error
    except Unreadable:
        if wanted is not None:
            raise
        sources = ends
    return (_after(rows, known) for rows in rows_in(path)), sources


def sum_of(path: Path) -> int:
    """The CRC-32 of a file's bytes."""
    found = 0
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            found = crc32(data, found)
    return found


def rows_in(path: Path, names: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """All rows of a segment as tables of `columns()` or those named; missing columns are null."""
    wanted = columns() if names is None else pa.schema([columns().field(each) for each in names])
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(AT_A_TIME, columns=names):
                found = [
                    pa.nulls(len(batch), field.type)
                    if (place := batch.schema.get_field_index(field.name)) < 0
                    else batch.column(place).cast(field.type)
                    for field in wanted
                ]
                yield pa.Table.from_arrays(found, schema=wanted)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_segment(path: Path, known: Mapping[str, int]) -> pa.Table:
    """The rows of a segment that lie after the byte each journal is `known` up to.

    Raises:
        FileNotFoundError, Unreadable, BadInput: as `load_segment`.
    """
    return pa.concat_tables([columns().empty_table(), *load_segment(path, known)[0]])


def _after(table: pa.Table, known: Mapping[str, int]) -> pa.Table:
    sources = table.column("source").combine_chunks().dictionary_encode()
    limits = [known.get(name, 0) for name in sources.dictionary.to_pylist()]
    if not any(limits):
        return table
    after = numbers(np.array(limits, np.int64)).take(sources.indices)
    return table.filter(pc.greater(table.column("position"), after))


def write_segment(
    directory: Path, tables: Iterable[pa.Table], sources: Mapping[str, int]
) -> Path | None:
    """Write a segment and its twin; each is there whole or not at all.

    Args:
        tables: the rows, written as they come.
        sources: looked at when the last of them has come.

    Returns:
        Where it lies, None if there was no row.

    Raises:
        NotSaved, BadInput: the disk does not take it; nothing is lost then.
    """
    rows = (each for each in tables if each.num_rows)
    first = next(rows, None)
    if first is None:
        return None
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    make_directory(directory)
    unfinished = directory / f".{name}{PARQUET}{UNFINISHED}"
    try:
        with open(_created(unfinished), "wb") as file:
            with pq.ParquetWriter(file, columns(), compression="zstd") as writer:
                for table in itertools.chain((first,), rows):
                    writer.write_table(table, AT_A_TIME)
                metadata = {"schema": SCHEMA, "sources": dict(sources)}
                writer.add_key_value_metadata({METADATA.decode(): json.dumps(metadata)})
            file.flush()
            os.fsync(file.fileno())
        path = directory / f"{name}.{sum_of(unfinished):08x}{PARQUET}"
        _copied(unfinished, twin_of(path))
        os.rename(unfinished, path)
        sync_directory(directory)
    except BaseException as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        if isinstance(error, OSError):
            raise storage_error(error, directory) from error
        raise
    return path


def copy_segment(segment: Path, directory: Path) -> Path:
    """Put a segment made elsewhere beside the others, under its own name; once is as good as twice.

    Raises:
        NotSaved, BadInput: the disk does not take it; nothing has changed then.
    """
    name = _SEALED.sub("", segment.name).removesuffix(PARQUET)
    path = directory / f"{name}.{sum_of(segment):08x}{PARQUET}"
    for each in (twin_of(path), path):
        if not each.exists():
            _copied(segment, each)
    return path


def place(path: Path, data: bytes | memoryview) -> None:
    """Write a file so that it is there whole or not at all: another name, fsync, rename, fsync.

    Raises:
        NotSaved, BadInput: the disk does not take it; nothing has changed then.
    """
    _placed(path, [data])


def _copied(source: Path, path: Path) -> None:
    """`place` of another file's bytes."""
    with open(source, "rb") as file:
        _placed(path, iter(lambda: file.read(CHUNK), b""))


def _placed(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    make_directory(path.parent)
    unfinished = path.with_name(f".{secrets.token_hex(4)}-{path.name}{UNFINISHED}")
    try:
        with open(_created(unfinished), "wb") as file:
            for each in pieces:
                file.write(each)
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise storage_error(error, path) from error


def _created(path: Path) -> int:
    """A descriptor of a new file that is for its owner alone."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)


def remove_segment(path: Path) -> None:
    """Remove a segment and its twin; what is left where this is cut short adds nothing twice."""
    path.unlink(missing_ok=True)
    twin_of(path).unlink(missing_ok=True)
