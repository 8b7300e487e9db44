"""Damage of other kinds than a changed byte: a journal cut off at any length, blocks of zeros,
files removed, doubled or with each other's names.

Whatever it is, the workspace opens, the rows beside it are there and as they were, none is there
twice, and what is gone is told. With an index beside the journals nothing is gone at all.
"""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cache.segments
from cache.compaction import compact
from cache.damage import Damaged
from cache.store import Store
from tests.faults.paced_service import FAMILY, row

pytestmark = pytest.mark.faults

POINTS = 20
Rows = dict[str, dict[str, Any]]


def open_rows(workspace: Path) -> tuple[Rows, int]:
    """Id -> row of every point, and how many damages are told."""
    with Store.open(workspace) as store:
        found = store.scores(FAMILY)
        damages = len(store.damages)
    assert len({each["id"] for each in found}) == len(found), "a row is there twice"
    return {each["id"]: each for each in found}, damages


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty points: ten in a segment, ten in two journals; an index of all of them."""
    workspace = tmp_path_factory.mktemp("sound") / "workspace"
    for start, end in ((0, 5), (5, 10), (10, 14), (14, 20)):
        with Store.open(workspace) as store:
            store.append([row(f"{k:012x}") for k in range(start, end)])
        if end == 10:
            compact(workspace / "journal", workspace / "segments", least=1, large=1)
    with Store.open(workspace):
        pass
    return workspace


@pytest.fixture(scope="module")
def rows(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    copy = tmp_path_factory.mktemp("copy") / "workspace"
    shutil.copytree(sound, copy)
    found, damages = open_rows(copy)
    assert len(found) == POINTS and not damages
    return found


@pytest.fixture
def damaged(sound: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes another copy each time, with or without the index."""
    turns = itertools.count()

    def copied(*, index: bool = False) -> Path:
        workspace = tmp_path / str(next(turns))
        shutil.copytree(sound, workspace)
        if not index:
            (workspace / "index.duckdb").unlink()
        return workspace

    return copied


def journals(workspace: Path) -> list[Path]:
    return sorted((workspace / "journal").glob("*.jsonl"))


def segments(workspace: Path) -> list[Path]:
    return sorted(each for each in (workspace / "segments").rglob("*") if each.is_file())


def lengths(data: bytes) -> Iterator[int]:
    """Around the end of every line, and now and then within one."""
    near = {k + d for k in range(len(data)) if data[k] == 10 for d in (-1, 0, 1, 2)}
    yield from sorted({*near, *range(0, len(data), 613)} - {len(data), len(data) + 1})


def test_a_journal_cut_off_anywhere(damaged: Callable[..., Path], rows: Rows) -> None:
    name = journals(damaged())[0].name
    data = journals(damaged())[0].read_bytes()
    own = [line for line in data.split(b"\n")[1:] if line]
    others = POINTS - len(own)
    for length in lengths(data):
        workspace = damaged()
        (workspace / "journal" / name).write_bytes(data[:length])
        found, _ = open_rows(workspace)
        assert found.items() <= rows.items(), f"altered at {length}"
        whole = max(data[:length].count(b"\n") - 1, 0)
        whole += data[length : length + 1] == b"\n"  # all but the end of its line
        assert len(found) in (others + whole, others + max(data[:length].count(b"\n") - 1, 0))


@pytest.mark.parametrize("which", [0, 1])
def test_every_length_loses_nothing_beside_an_index(
    damaged: Callable[..., Path], rows: Rows, which: int
) -> None:
    size = journals(damaged())[which].stat().st_size
    for length in range(0, size, size // 5):
        workspace = damaged(index=True)
        with open(journals(workspace)[which], "r+b") as file:
            file.truncate(length)
        found, damages = open_rows(workspace)
        assert found == rows and damages, f"cut off at {length}"
        (workspace / "index.duckdb").unlink()
        assert open_rows(workspace)[0] == rows, "saved in the index alone"


def test_the_only_row(tmp_path: Path) -> None:
    """Damaged, it is set aside and kept as it is, whatever compaction does; the workspace is used
    on."""
    with Store.open(tmp_path) as store:
        store.append([row("a" * 12)])
    (tmp_path / "index.duckdb").unlink()
    [journal] = journals(tmp_path)
    head, line, _ = journal.read_bytes().split(b"\n")
    damaged = line.replace(b'"mean"', b'"m\xe5an"')
    journal.write_bytes(head + b"\n" + damaged + b"\n")
    assert open_rows(tmp_path) == ({}, 1)
    compact(tmp_path / "journal", tmp_path / "segments", least=1, large=1)
    with Store.open(tmp_path) as store:
        [told] = store.damages
        assert (told.file, told.line) == (f"journal/{journal.name}", 2) and "a" * 12 in told.held
        assert (tmp_path / "damaged" / f"{told.id}.bytes").read_bytes().rstrip() == damaged
        store.append([row("b" * 12)])
    found, damages = open_rows(tmp_path)
    assert [each["point"] for each in found.values()] == ["b" * 12] and damages == 1


def test_a_block_of_zeros(damaged: Callable[..., Path], rows: Rows) -> None:
    """As a disk leaves them after a loss of power: in journals and segments, anywhere."""
    for kind, files in (("journal", journals), ("segment", segments)):
        size = files(damaged())[0].stat().st_size
        for start in range(0, size, max(size // 7, 1)):
            workspace = damaged()
            place = files(workspace)[0]
            data = place.read_bytes()
            block = bytes(len(data[start : start + 512]))
            place.write_bytes(data[:start] + block + data[start + len(block) :])
            found, damages = open_rows(workspace)
            assert found.items() <= rows.items(), f"{kind}: altered at {start}"
            if found != rows and not damages:  # an end without a line's end may still be written to
                compact(workspace / "journal", workspace / "segments", least=1, large=1)
                damages = open_rows(workspace)[1]
            assert found == rows or damages, f"{kind}: gone at {start}, and not told"
            assert len(found) >= POINTS - 10, f"{kind}: more gone at {start} than is damaged"
            again, _ = open_rows(workspace)
            assert again == found, "what was there the first time is there the second time"


def test_a_file_removed(damaged: Callable[..., Path], rows: Rows) -> None:
    for place in (*journals(damaged()), *segments(damaged())):
        for index in (False, True):
            workspace = damaged(index=index)
            (workspace / place.parent.name / place.name).unlink()
            found, damages = open_rows(workspace)
            assert found.items() <= rows.items()
            if index or place.parent.name == "segments":
                assert found == rows, f"{place.name}: its rows are elsewhere too"
            if index:
                assert damages or place.suffix == ".twin", f"{place.name}: not told"
                (workspace / "index.duckdb").unlink()
                assert open_rows(workspace)[0] == rows, "saved in the index alone"


def test_a_file_doubled(damaged: Callable[..., Path], rows: Rows) -> None:
    for place in (*journals(damaged()), *segments(damaged())):
        for index in (False, True):
            workspace = damaged(index=index)
            own = workspace / place.parent.name / place.name
            head, _, tail = place.name.partition("-")
            shutil.copyfile(own, own.with_name(f"{int(head) + 1:020d}-{tail}"))
            assert open_rows(workspace)[0] == rows, place.name


def test_two_journals_with_each_others_names(damaged: Callable[..., Path], rows: Rows) -> None:
    for index in (False, True):
        workspace = damaged(index=index)
        first, second = journals(workspace)
        held = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(held)
        assert open_rows(workspace)[0] == rows, f"with index: {index}"
        (workspace / "index.duckdb").unlink()
        assert open_rows(workspace)[0] == rows


def test_a_directory_is_gone(damaged: Callable[..., Path], rows: Rows) -> None:
    workspace = damaged(index=True)
    shutil.rmtree(workspace / "journal")
    shutil.rmtree(workspace / "segments")
    found, damages = open_rows(workspace)
    assert found == rows and damages
    (workspace / "index.duckdb").unlink()
    assert open_rows(workspace)[0] == rows


@pytest.mark.parametrize("change", [{"found": "now"}, {"line": [2]}, {"file": 3}, {"more": 1}])
def test_what_is_known_of_damage_is_damaged(tmp_path: Path, change: dict[str, Any]) -> None:
    with Store.open(tmp_path) as store:
        store.append([row("a" * 12)])
    for each in ("first", "second"):
        Damaged(tmp_path).keep(tmp_path / each, b"x", held="a row", outcome="it is skipped")
    record = min((tmp_path / "damaged").glob("*.json"))
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    found, damages = open_rows(tmp_path)
    assert len(found) == 1 and damages == 2
    assert f"damaged/{record.name}: the record of" in " ".join(map(str, Damaged(tmp_path).all()))


def test_what_is_no_file_has_the_name_of_one(damaged: Callable[..., Path], rows: Rows) -> None:
    """A directory, and a pipe that nobody writes into: opened, it would be waited for."""
    for place in (*journals(damaged()), *segments(damaged())):
        for make in (Path.mkdir, os.mkfifo):
            workspace = damaged(index=True)
            own = workspace / place.parent.name / place.name
            own.unlink()
            make(own)
            assert open_rows(workspace)[0] == rows, f"{make.__name__} {place.name}"
            (workspace / "index.duckdb").unlink()
            assert open_rows(workspace)[0] == rows, f"{make.__name__} {place.name}, no index"
            compact(workspace / "journal", workspace / "segments", least=1, large=1)
            assert open_rows(workspace)[0] == rows, f"{make.__name__} {place.name}, packed"


@pytest.mark.parametrize("which", ["journal", "segment", "segment and twin"])
def test_what_the_system_does_not_let_us_read(
    damaged: Callable[..., Path], rows: Rows, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    workspace = damaged()
    files = journals(workspace)[:1] if which == "journal" else segments(workspace)
    files = [each for each in files if which != "segment" or each.suffix == ".parquet"]
    sectors = {each.stat().st_ino for each in files}
    opened, read_metadata = io.open, cache.segments.pq.read_metadata

    def check(file: Any) -> None:
        there = isinstance(file, str | Path) and Path(file).exists()
        if there and Path(file).stat().st_ino in sectors:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(file))

    def unreadable(file: Any, *more: Any, **options: Any) -> Any:
        check(file)
        return opened(file, *more, **options)

    def footer(file: Path) -> Any:
        check(file)
        return read_metadata(file)

    with monkeypatch.context() as patched:
        patched.setattr(io, "open", unreadable)
        patched.setattr("builtins.open", unreadable)
        patched.setattr(cache.segments.pq, "read_metadata", footer)
        with Store.open(workspace) as store:
            found = {each["id"]: each for each in store.scores(FAMILY)}
            told = store.damages[0]
    assert found.items() <= rows.items() and (len(found) == POINTS) == (which == "segment")
    assert Path(told.file).name in {each.name for each in files}
    assert "Input/output error" in told.held or which == "segment"
    assert open_rows(workspace)[0] == rows, "it can be read again"
