"""A result directory appears whole or not at all, whatever goes wrong on the way."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from engine.errors import BadInput, ParetoscopeError
from engine.export.directory import check_output, new_directory


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], capture_output=True
    )
    if done.returncode:
        pytest.skip("no right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def write_two(out: Path, *, size: int = 10) -> None:
    with new_directory(out) as partial:
        (partial / "a").write_bytes(b"x" * size)
        (partial / "deep").mkdir()
        (partial / "deep" / "b").write_bytes(b"y" * size)


def names(place: Path) -> list[str]:
    return sorted(str(each.relative_to(place)) for each in place.rglob("*"))


def test_it_appears_whole(tmp_path: Path) -> None:
    out = tmp_path / "made" / "on the way" / "out"
    with new_directory(out) as partial:
        (partial / "a").write_text("x")
        assert not out.exists() and partial.parent == out.parent
    assert names(tmp_path / "made") == ["on the way", "on the way/out", "on the way/out/a"]


def test_an_empty_directory_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write_two(out)
    assert names(out) == ["a", "deep", "deep/b"] and names(tmp_path) == [
        "out",
        *(f"out/{each}" for each in names(out)),
    ]


def test_a_relative_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_two(Path("out"))
    assert names(tmp_path / "out") == ["a", "deep", "deep/b"]


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    full, file, link = tmp_path / "full", tmp_path / "file", tmp_path / "link"
    full.mkdir()
    (full / "mine").write_text("mine")
    file.write_text("mine")
    link.symlink_to(tmp_path / "nowhere")
    before = names(tmp_path)
    for out, word in (
        (full, "not empty"),
        (file, "not a directory"),
        (link, "not a directory"),
        (file / "under", f"{file} is not a directory"),
        (file / "far" / "under", f"{file} is not a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(BadInput) as caught:
            write_two(out)
        said = str(caught.value)
        assert str(out) in said and word in said and caught.value.problems[0].fix
    assert names(tmp_path) == before and (full / "mine").read_text() == "mine"


def test_too_little_room_is_told_before(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"B are needed and .* GB are free"):
        check_output(tmp_path / "out", 1 << 60)
    with pytest.raises(BadInput), new_directory(tmp_path / "a" / "out", 1 << 60):
        raise AssertionError("nothing is begun")
    assert names(tmp_path) == []


def test_a_fault_leaves_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for out in (tmp_path / "a" / "b" / "out", empty):
        with pytest.raises(KeyError), new_directory(out) as partial:
            (partial / "x").write_text("x")
            raise KeyError("anything")
    assert names(tmp_path) == ["empty"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_in_words(tmp_path: Path, code: int) -> None:
    out = tmp_path / "a" / "out"
    with pytest.raises(ParetoscopeError, match="disk is full") as caught, new_directory(out):
        raise OSError(code, "no room")
    assert str(out) in str(caught.value) and caught.value.exit_code == 1
    assert names(tmp_path) == []


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="broken"), new_directory(tmp_path / "out"):
        raise OSError(errno.EIO, "broken")
    with pytest.raises(SafetensorError), new_directory(tmp_path / "out"):
        raise SafetensorError("other")
    assert names(tmp_path) == []


def test_a_disk_that_fills_up(small_disk: Path) -> None:
    with pytest.raises(ParetoscopeError, match="disk is full"):
        write_two(small_disk / "out", size=100_000)
    assert names(small_disk) == []
    with (
        pytest.raises(ParetoscopeError, match="disk is full"),
        new_directory(small_disk / "out") as partial,
    ):
        save_file({"x": torch.zeros(100_000)}, partial / "model.safetensors")
    assert names(small_disk) == []
    write_two(small_disk / "out", size=1000)
    assert names(small_disk / "out") == ["a", "deep", "deep/b"]


def test_an_empty_volume_can_be_the_output(small_disk: Path) -> None:
    write_two(small_disk, size=1000)
    assert names(small_disk) == ["a", "deep", "deep/b"]
    assert [each.name for each in small_disk.parent.iterdir()] == ["disk"]
    with pytest.raises(BadInput, match="not empty"):
        check_output(small_disk)


def test_a_volume_that_fills_up_stays_empty(small_disk: Path) -> None:
    with pytest.raises(ParetoscopeError, match="disk is full"):
        write_two(small_disk, size=100_000)
    assert names(small_disk) == []


def test_a_read_only_disk(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for out in (small_disk, small_disk / "out", small_disk / "a" / "out"):
        with pytest.raises(BadInput, match=r"is not writable\. Choose another"):
            check_output(out)


@pytest.mark.faults
def test_a_kill_in_the_middle_leaves_no_output(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    code = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from engine.export.directory import new_directory
        with new_directory(Path(sys.argv[1])) as partial:
            (partial / "model.safetensors").write_bytes(b"half")
            print("written", flush=True)
            time.sleep(60)
    """)
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(out)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None and child.stdout.readline() == b"written\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert list(out.iterdir()) == []
    write_two(out)  # what lies beside it is in nobody's way
    assert names(out) == ["a", "deep", "deep/b"]
