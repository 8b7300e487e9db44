from __future__ import annotations

import io
import os
import pickle
import sqlite3

import numpy as np
import pytest

from cache.blobs import NUMBER, Blobs, _data, _opened
from cache.damage import Damaged


@pytest.fixture
def blobs(tmp_path):
    with Blobs(tmp_path, limit=2 << 20) as opened:
        yield opened


def test_each_kind_comes_back(blobs):
    text = "é\r\n\ud800 日本"
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    assert blobs.put_text("t", text) and blobs.get_text("t") == text
    assert blobs.put_bytes("b", b"\x00\xff") and blobs.get_bytes("b") == b"\x00\xff"
    assert blobs.put_bytes("e", b"") and blobs.get_bytes("e") == b""
    assert blobs.put_number("n", 3) and blobs.get_number("n") == 3
    assert blobs.put_number("f", 0.5) and blobs.get_number("f") == 0.5
    assert blobs.put_array("a", array)
    found = blobs.get_array("a")
    assert found.dtype == array.dtype and (found == array).all()


def test_what_is_not_there_or_of_another_kind_is_none(blobs):
    blobs.put_text("t", "x")
    assert blobs.get_text("other") is None
    assert blobs.get_bytes("t") is None and blobs.get_array("t") is None
    blobs.put_bytes("t", b"y")
    assert blobs.get_bytes("t") == b"y" and blobs.get_text("t") is None


def test_another_process_sees_them(tmp_path, blobs):
    blobs.put_text("t", "x")
    with Blobs(tmp_path) as other:
        assert other.get_text("t") == "x"


def test_the_least_recently_used_go_first(blobs):
    blobs.put_text("kept", "x")
    for number in range(60):
        assert blobs.put_bytes(f"{number}", bytes(100_000))
        assert blobs.get_text("kept") == "x"
    there = [number for number in range(60) if blobs.get_bytes(f"{number}") is not None]
    assert there and there == list(range(60 - len(there), 60))
    held = sum(path.stat().st_size for path in blobs.directory.rglob("*.val"))
    assert held <= blobs.limit


def test_what_exceeds_the_limit_is_not_kept_and_evicts_nothing(blobs):
    blobs.put_text("t", "x")
    assert not blobs.put_bytes("big", bytes(blobs.limit + 1))
    assert not blobs.put_array("big", np.zeros(blobs.limit // 8 + 1))
    assert blobs.get_bytes("big") is None and blobs.get_text("t") == "x"


def test_objects_are_refused(blobs):
    for value in ({"a": 1}, [1], None, True):
        with pytest.raises(TypeError):
            blobs._cache.set("k", value)
    with pytest.raises(TypeError):
        blobs.put_array("k", np.array([object()]))
    with pytest.raises(TypeError):
        blobs._cache.set(("not", "text"), "x")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("mode", [4, 101, 102, 103, 104])
def test_a_planted_pickle_never_runs(tmp_path, monkeypatch, blobs, mode):
    """Whoever writes the directory may spoil a value, no more: in the database and in the file."""
    monkeypatch.chdir(tmp_path)
    bomb = pickle.dumps(Bomb())
    blobs.put_array("file", np.ones(3))
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb()], dtype=object), allow_pickle=True)
    for path in blobs.directory.rglob("*.val"):
        path.write_bytes(buffer.getvalue() if mode == 104 else bomb)
    blobs.put_number("row", 1)
    with sqlite3.connect(blobs.directory / "cache.db") as database:
        database.execute("UPDATE Cache SET mode = ?", (mode,))
        database.execute("UPDATE Cache SET value = ? WHERE key = 'row'", (bomb,))
    database.close()
    for get in (blobs.get_array, blobs.get_bytes, blobs.get_text, blobs.get_number):
        get("file"), get("row")
    assert blobs.get_array("file") is None and blobs.get_number("row") is None
    assert not (tmp_path / "exploded").exists()


def test_a_planted_file_name_is_not_followed(tmp_path, blobs):
    secret = tmp_path / "secret"
    secret.write_text("s")
    blobs.put_bytes("k", b"x")
    with sqlite3.connect(blobs.directory / "cache.db") as database:
        database.execute("UPDATE Cache SET filename = '../secret'")
    database.close()
    assert blobs.get_bytes("k") is None
    blobs.put_bytes("k", b"y")  # which removes the file of the old value
    assert secret.exists() and blobs.get_bytes("k") == b"y"


def test_a_file_that_is_gone_is_a_blob_that_is_gone(blobs):
    blobs.put_text("k", "x" * 100)
    for path in blobs.directory.rglob("*.val"):
        path.unlink()
    assert blobs.get_text("k") is None


def test_a_damaged_database_starts_afresh(tmp_path):
    with Blobs(tmp_path) as blobs:
        blobs.put_text("k", "x")
    (tmp_path / "blobs" / "cache.db").write_bytes(b"garbage" * 1000)
    with Blobs(tmp_path) as blobs:
        assert blobs.get_text("k") is None
        assert blobs.put_text("k", "y") and blobs.get_text("k") == "y"
    (damage,) = Damaged(tmp_path).all()
    assert damage.file == "blobs" and "moved there whole" in damage.outcome
    assert len([*(tmp_path / "damaged" / f"{damage.id}.bytes").rglob("*.val")]) == 1


def test_a_full_disk_is_no_error(blobs, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cache.blobs.PlainDisk._write", full)
    assert not blobs.put_bytes("k", b"x") and "not stored" in caplog.text


def test_the_directory_is_for_its_owner_alone(blobs):
    assert blobs.directory.stat().st_mode & 0o777 == 0o700


def test_no_damaged_byte_of_a_blob_is_given_back(tmp_path, blobs):
    """A text, bytes and an array altered: not there, told, the others as they were."""
    array = np.arange(5, dtype=np.float32)
    stored = {"t": "a text é", "b": b"\x00bytes", "a": array}
    put = {"t": blobs.put_text, "b": blobs.put_bytes, "a": blobs.put_array}
    get = {"t": blobs.get_text, "b": blobs.get_bytes, "a": blobs.get_array}
    blobs.put_number("n", 0.25)
    for key, value in stored.items():
        put[key](key, value)
        (path,) = (each for each in blobs.directory.rglob("*.val") if read(each, key))
        whole = path.read_bytes()
        for place in range(len(whole)):
            for new in (whole[place] ^ 1 << place % 8, (whole[place] + 1) % 256, 0):
                if new != whole[place]:
                    with pytest.raises(ValueError):
                        _opened(whole[:place] + bytes([new]) + whole[place + 1 :], whole[4])
        for place in range(0, len(whole), 13):
            put[key](key, value)
            (path,) = (each for each in blobs.directory.rglob("*.val") if read(each, key))
            bad = bytearray(whole)
            bad[place] ^= 1 << place % 8
            path.write_bytes(bad)
            assert get[key](key) is None
            kept = tmp_path / "damaged"
            (damage,) = (
                each
                for each in Damaged(tmp_path).all()
                if (kept / f"{each.id}.bytes").read_bytes() == bad and each.file.endswith(path.name)
            )
            assert f"the blob {key}" in damage.held
        assert put[key](key, value) and get[key](key) is not None
        assert blobs.get_number("n") == 0.25


def read(path, key: str) -> bool:
    return path.read_bytes()[9:10] == key.encode()


def test_a_number_altered_in_the_database_is_not_there(blobs):
    blobs.put_number("n", 3)
    for change in ("value = CAST('4' AS BLOB)", "value = 4", f"mode = {NUMBER}", "key = 'm'"):
        blobs.put_number("n", 3)
        with sqlite3.connect(blobs.directory / "cache.db") as database:
            database.execute(f"UPDATE Cache SET {change}")
        database.close()
        assert blobs.get_number("n") is None and blobs.get_number("m") is None


def test_blobs_of_earlier_builds_are_read(blobs, monkeypatch):
    """They have no checksum, and other kinds in the database."""
    for kind in ("text", "bytes", "array"):
        monkeypatch.setattr("cache.blobs.PlainDisk.store", unsealed)
        blobs._cache.set(kind, {"text": "é", "bytes": b"x", "array": np.ones(2)}[kind])
    blobs._cache.set("number", 2.5)
    monkeypatch.undo()
    assert blobs.get_text("text") == "é" and blobs.get_bytes("bytes") == b"x"
    assert blobs.get_array("array").tolist() == [1.0, 1.0] and blobs.get_number("number") == 2.5


def unsealed(disk, value, read, key=None):
    if isinstance(value, float):
        return 0, NUMBER, None, value
    data, kind = _data(value)
    name, path = disk.filename(key, value)
    return disk._write(path, iter((data,)), "xb"), kind, name, None


def test_files_are_for_their_owner_alone(blobs):
    blobs.put_text("t", "x")
    for path in (blobs.directory, *blobs.directory.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
