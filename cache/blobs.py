"""Blobs: what may be thrown away and made again. Generated texts, hidden states, bases.

diskcache keeps them under a size limit, least recently used first out. Its own `Disk` pickles what
it does not know and unpickles what it finds, so whoever can write the directory could run code in
every reader (CVE-2025-69872). `PlainDisk` has four kinds of value and no pickle either way:

    number    in the database          bytes    a file
    text      a file of UTF-8          array    a .npy file without objects
"""

from __future__ import annotations

import io
import logging
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import diskcache
import numpy as np
from numpy.typing import NDArray

from cache.journal import make_directory

log = logging.getLogger(__name__)

NUMBER, BYTES, TEXT, ARRAY = 101, 102, 103, 104  # none of diskcache's own modes, 4 being pickle
FILE_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")
LIMIT = 4 << 30


class PlainDisk(diskcache.Disk):
    """Text keys; numbers, bytes, texts and arrays as values. Anything else is a `TypeError`."""

    def put(self, key: Any) -> tuple[str, bool]:
        if type(key) is not str:
            raise TypeError(f"the key of a blob is a text, got {key!r}")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        if not raw or type(key) is not str:
            raise TypeError("the key of a blob is a text, this one is none")
        return key

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, str | None, Any]:
        """(bytes, kind, file, number): as diskcache asks for it, `file` or `number` being None."""
        if type(value) in (int, float):
            return 0, NUMBER, None, value
        data, kind = _data(value)
        name, path = self.filename(key, value)
        size = self._write(path, iter((data,)), "xb")
        return size, kind, name, None

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode == NUMBER and type(value) in (int, float):
            return value
        if mode not in (BYTES, TEXT, ARRAY) or not FILE_NAME.fullmatch(str(filename)):
            raise TypeError(f"a blob of kind {mode} in {filename!r} is none of ours")
        data = (Path(self._directory) / str(filename)).read_bytes()
        if mode == TEXT:
            return data.decode("utf-8", "surrogatepass")
        return data if mode == BYTES else np.load(io.BytesIO(data), allow_pickle=False)

    def remove(self, file_path: str) -> None:
        if FILE_NAME.fullmatch(file_path):
            super().remove(file_path)


def _data(value: Any) -> tuple[bytes, int]:
    if isinstance(value, bytes):
        return value, BYTES
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass"), TEXT
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        return buffer.getvalue(), ARRAY
    raise TypeError(f"a blob is bytes, a text, a number or an array of them, got {type(value)}")


class Blobs:
    """The blobs of a workspace, shared by threads and processes.

    What was evicted, is of another kind, or cannot be read is simply not there: every `get` may
    return None. Every `put` says whether the blob is kept; one above the limit is not, since it
    would evict all others and then itself.

    Args:
        limit: bytes that all blobs together may take.

    Raises:
        BadInput: the workspace cannot be written.
    """

    def __init__(self, workspace: str | Path, limit: int = LIMIT) -> None:
        self.directory = Path(workspace).expanduser().absolute() / "blobs"
        self.limit = limit
        make_directory(self.directory)
        self.directory.chmod(0o700)
        try:
            self._cache = self._open()
        except sqlite3.DatabaseError as error:
            log.warning("%s: starting afresh, its database is damaged (%s)", self.directory, error)
            shutil.rmtree(self.directory)
            make_directory(self.directory)
            self._cache = self._open()

    def _open(self) -> diskcache.Cache:
        return diskcache.Cache(
            str(self.directory),
            disk=PlainDisk,
            size_limit=self.limit,
            eviction_policy="least-recently-used",
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
        size = value.nbytes if isinstance(value, np.ndarray) else 0
        size = len(_data(value)[0]) if isinstance(value, str) else size
        size = len(value) if isinstance(value, bytes) else size
        if size > self.limit:
            log.info("blob %s not kept: %d bytes, the limit is %d", key, size, self.limit)
            return False
        try:
            self._cache.set(key, value, retry=True)
            if self._cache.volume() > self.limit:  # one set evicts ten rows at most
                self._cache.cull(retry=True)
        except (OSError, sqlite3.Error) as error:
            log.warning("%s: blob %s not kept (%s)", self.directory, key, error)
            return False
        return True

    def _get(self, key: str, kind: type | tuple[type, ...]) -> Any:
        try:
            value = self._cache.get(key, retry=True)
        except (OSError, ValueError, TypeError, sqlite3.Error) as error:
            log.warning("%s: blob %s cannot be read (%s)", self.directory, key, error)
            return None
        return value if isinstance(value, kind) else None
