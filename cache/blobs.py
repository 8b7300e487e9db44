"""Blobs: data that can be deleted and recomputed. Generated texts, hidden states, bases.

diskcache keeps them under a size limit, least recently used first out. Its own `Disk` pickles
unknown types and unpickles what it finds, so anyone who can write to the directory could run code
in every reader (CVE-2025-69872). `PlainDisk` has four kinds of value and no pickle either way:

    number    in the database          bytes    a file
    text      a file of UTF-8          array    a .npy file without objects
"""

from __future__ import annotations

import io
import logging
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import diskcache
import numpy as np
from numpy.typing import NDArray

from cache.damage import Damaged
from cache.journal import NotSaved, make_directory, storage_error
from cache.modes import secure
from engine.errors import bad, shown

log = logging.getLogger(__name__)

NUMBER, BYTES, TEXT, ARRAY = 101, 102, 103, 104  # none of diskcache's own modes, 4 being pickle
FILE_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")
SEALED = 0x5EA10000  # beside the kind: no damaged byte makes one of the kinds of earlier builds
LIMIT = 4 << 30
OURS = {"eviction_policy": "least-recently-used"}
UNREADABLE = (sqlite3.Error, ValueError, TypeError, LookupError, AttributeError, OverflowError)
"""What SQLite says of a damaged database, and diskcache of settings and columns that it read there
and cannot use."""


class PlainDisk(diskcache.Disk):
    """Text keys; numbers, bytes, texts and arrays as values. Anything else is a `TypeError`.

    What is stored is sealed: a CRC-32 over kind, key and data stands before them. Blobs of earlier
    builds are not, and are read as they are.
    """

    def put(self, key: Any) -> tuple[str, bool]:
        if type(key) is not str:
            raise TypeError(f"a blob's key must be a string, got {key!r}")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        if not raw or type(key) is not str:
            raise TypeError("a blob's key must be a string; this one is not")
        return key

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, str | None, Any]:
        """(bytes, kind, file, number): as diskcache asks for it, `file` or `number` being None."""
        data, kind = _data(value)
        text = str(key).encode("utf-8", "surrogatepass")
        body = b"".join((kind.to_bytes(1), len(text).to_bytes(4), text, data))
        body = crc32(body).to_bytes(4) + body
        if kind == NUMBER:
            return 0, SEALED | kind, None, body
        name, path = self.filename(key, value)
        size = self._write(path, iter((body,)), "xb")
        secure(Path(path), Path(path).parent, Path(path).parent.parent)
        return size, SEALED | kind, name, None

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """A value of an earlier build, or a `Sealed` one.

        Raises:
            Damage, TypeError, ValueError, OSError: it is none of ours, or not what was stored.
        """
        sealed, kind = mode & ~0xFF == SEALED, mode & 0xFF
        if kind == NUMBER and not sealed and type(value) in (int, float):
            return value
        if kind == NUMBER and sealed and type(value) is bytes:
            return _opened(value, kind)
        if kind not in (BYTES, TEXT, ARRAY) or not FILE_NAME.fullmatch(str(filename)):
            raise TypeError(f"a blob of kind {mode} in {filename!r} was not written by Paretoscope")
        data = (Path(self._directory) / str(filename)).read_bytes()
        try:
            return _opened(data, kind) if sealed else _value(data, kind)
        except (TypeError, ValueError) as error:
            raise Altered(str(filename), data, str(error)) from error

    def remove(self, file_path: str) -> None:
        if FILE_NAME.fullmatch(file_path):
            super().remove(file_path)


class Altered(ValueError):
    """A blob's file is not what was written."""

    def __init__(self, name: str, data: bytes, why: str) -> None:
        super().__init__(why)
        self.name, self.data = name, data


@dataclass(frozen=True)
class Sealed:
    """A value whose checksum is right, and the key that it was stored under."""

    key: str
    value: Any


def _opened(data: bytes, kind: int) -> Sealed:
    """Raises `ValueError` where the checksum is another."""
    if crc32(data[4:]).to_bytes(4) != data[:4] or data[4:5] != kind.to_bytes(1):
        raise ValueError("its checksum does not match")
    end = 9 + int.from_bytes(data[5:9])
    return Sealed(data[9:end].decode("utf-8", "surrogatepass"), _value(data[end:], kind))


def _value(data: bytes, kind: int) -> Any:
    if kind == NUMBER:
        text = data.decode("ascii")
        return float(text) if set(text) & set(".einf") else int(text)
    if kind == TEXT:
        return data.decode("utf-8", "surrogatepass")
    return data if kind == BYTES else np.load(io.BytesIO(data), allow_pickle=False)


def _is_of_the_disk(error: sqlite3.Error) -> bool:
    """Whether SQLite could not read or write, rather than that what it read was damaged."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY)


def _kind(value: Any) -> int:
    if type(value) in (int, float):
        return NUMBER
    if isinstance(value, bytes | str):
        return BYTES if isinstance(value, bytes) else TEXT
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return ARRAY
    raise TypeError(
        f"a blob must be bytes, a string, a number or an array of them, got {type(value)}"
    )


def _data(value: Any) -> tuple[bytes, int]:
    kind = _kind(value)
    if kind == NUMBER:
        return repr(value).encode("ascii"), kind
    if kind == TEXT:
        return value.encode("utf-8", "surrogatepass"), kind
    if kind == BYTES:
        return value, kind
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=False)
    return buffer.getvalue(), kind


class Blobs:
    """The blobs of a workspace, shared by threads and processes.

    What was evicted, is of another kind, or cannot be read is simply not there: every `get` may
    return None. Every `put` says whether the blob is kept; one above the limit is not, since it
    would evict all others and then itself.

    Args:
        limit: bytes that all blobs together may take.

    Raises:
        BadInput: the workspace cannot be written.
        NotSaved: there is no room for the database, or the disk fails.
    """

    def __init__(self, workspace: str | Path, limit: int = LIMIT) -> None:
        self.directory = Path(workspace).expanduser().absolute() / "blobs"
        self.limit = limit
        self._damaged = Damaged(self.directory.parent)
        make_directory(self.directory)
        try:
            self._cache = self._open()
        except OSError as error:
            raise storage_error(error, self.directory) from error
        except UNREADABLE as error:
            if isinstance(error, sqlite3.OperationalError) and _is_of_the_disk(error):
                raise NotSaved(
                    f"{self.directory}: the disk is full or failing ({error})."
                    " Nothing was lost. Free some space and try again."
                ) from error
            log.warning("%s: starting over: its database is damaged (%s)", self.directory, error)
            moved = self._damaged.move(
                self.directory,
                held="cached texts and arrays (they can be recomputed), in a damaged database",
                outcome="moved there whole; a new one was started",
            )
            if not moved:
                raise bad(
                    str(self.directory),
                    f"this database cannot be read ({error}) or moved aside",
                    "Choose another workspace (--workspace, PARETOSCOPE_HOME).",
                ) from error
            make_directory(self.directory)
            self._cache = self._open()

    def _open(self) -> diskcache.Cache:
        database = self.directory / "cache.db"
        database.touch(0o600)  # SQLite gives its log the mode of the database
        secure(self.directory, database)
        return diskcache.Cache(
            str(self.directory),
            disk=PlainDisk,
            # all of them, so that none counts as the database has it
            **{**diskcache.DEFAULT_SETTINGS, **OURS, "size_limit": self.limit},
        )

    def put_text(self, key: str, text: str) -> bool:
        return self._put(key, str(text))

    def put_bytes(self, key: str, data: bytes) -> bool:
        return self._put(key, bytes(data))

    def put_number(self, key: str, number: int | float) -> bool:
        return self._put(key, number)

    def put_array(self, key: str, array: NDArray[Any]) -> bool:
        return self._put(key, np.asarray(array))

    def get_text(self, key: str) -> str | None:
        return self._get(key, str)

    def get_bytes(self, key: str) -> bytes | None:
        return self._get(key, bytes)

    def get_number(self, key: str) -> int | float | None:
        return self._get(key, (int, float))

    def get_array(self, key: str) -> NDArray[Any] | None:
        return self._get(key, np.ndarray)

    def close(self) -> None:
        self._cache.close()

    def __enter__(self) -> Blobs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, key: str, value: Any) -> bool:
        _kind(value)
        size = value.nbytes if isinstance(value, np.ndarray) else 0
        size = len(_data(value)[0]) if isinstance(value, str) else size
        size = len(value) if isinstance(value, bytes) else size
        if size > self.limit:
            log.info("blob %s not stored: %d bytes exceed the limit of %d", key, size, self.limit)
            return False
        try:
            self._cache.set(key, value, retry=True)
            if self._cache.volume() > self.limit:  # one set evicts ten rows at most
                self._cache.cull(retry=True)
        except (OSError, *UNREADABLE) as error:
            log.warning("%s: blob %s not stored (%s)", self.directory, key, error)
            return False
        return True

    def _get(self, key: str, kind: type | tuple[type, ...]) -> Any:
        try:
            value = self._cache.get(key, retry=True)
            if isinstance(value, Sealed):
                if value.key != key:
                    raise ValueError("it was stored under a different key")
                value = value.value
        except Altered as error:
            self._damaged.keep(
                self.directory / error.name,
                error.data,
                held=f"the blob {shown(key, most=80)}, which can be recomputed",
                outcome="it no longer exists",
            )
            self._forget(key)
            return None
        except (OSError, *UNREADABLE) as error:
            log.warning("%s: blob %s cannot be read (%s)", self.directory, key, error)
            self._damaged.keep(
                self.directory / "cache.db",
                shown(key).encode(),
                held=f"the blob {shown(key, most=80)}, which can be recomputed",
                outcome="it is treated as missing",
            )
            return None
        return value if isinstance(value, kind) else None

    def _forget(self, key: str) -> None:
        try:
            self._cache.delete(key, retry=True)
        except (OSError, *UNREADABLE) as error:
            log.warning("%s: blob %s could not be removed (%s)", self.directory, key, error)
