"""Only regular files of a fitting size are read, and nothing is waited for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from engine.errors import BadInput
from engine.front.csv_file import read_csv
from engine.plain_file import read_plain


def refused(path: Path, most: int = 100) -> str:
    with pytest.raises(BadInput) as caught:
        read_plain(path, most)
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_a_file_is_read(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"x" * 100)
    assert read_plain(place, 100) == b"x" * 100
    (tmp_path / "link").symlink_to(place)
    assert read_plain(tmp_path / "link", 100) == b"x" * 100


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        assert "a named pipe" in refused(tmp_path / "pipe")
        assert "a socket" in refused(tmp_path / "socket")
    assert "a device" in refused(Path("/dev/zero"))
    assert "a directory" in refused(tmp_path)
    assert "symbolic links" in refused(tmp_path / "loop")


def test_a_file_without_a_size_is_read_no_further(tmp_path: Path) -> None:
    assert "is the limit" in refused(Path("/proc/self/maps"), 10)


def test_a_table_is_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "points.csv")
    with pytest.raises(BadInput, match="a named pipe"):
        read_csv(tmp_path / "points.csv", ["max"])


def test_what_is_no_path(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "gone")
    assert "null" in refused(Path("a\0b"))
    assert "too long" in refused(tmp_path / ("x" * 5000))
    (tmp_path / "big").write_bytes(b"x" * 101)
    assert "101 bytes; 100 is the limit" in refused(tmp_path / "big")
