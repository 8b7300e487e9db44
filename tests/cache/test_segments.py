from __future__ import annotations

import fcntl
import os
import time

import pytest

from cache import segments as segments_module
from cache.compaction import compact, merge
from cache.journal import Journal, NotSaved, list_journals
from cache.segments import (
    Unreadable,
    copy_segment,
    list_segments,
    read_segment,
    segment_sources,
    write_segment,
)
from cache.store import Store
from cache.tables import journal_tables
from engine.errors import BadInput


def note(number: int) -> dict:
    return {"kind": "note", "id": f"n{number:03d}", "at": float(number), "values": [1.0, None]}


def write(home, *numbers: int, close: bool = True) -> Journal:
    journal = Journal(home / "journal")
    for number in numbers:
        journal.append([note(number)], after=number)
    if close:
        journal.close()
    return journal


def notes(home) -> list[str]:
    with Store.open(home) as store:
        physical = store._follower.query("SELECT count(*) AS n FROM rows", [])["n"][0]
        found = [row["id"] for row in store.records("note")]
    assert physical == len(found), "a row was read twice"
    return found


def test_dead_journals_become_one_segment(tmp_path):
    write(tmp_path, 1, 2)
    write(tmp_path, 3)
    living = write(tmp_path, 4, close=False)
    assert compact(tmp_path / "journal", tmp_path / "segments", least=2) == 2
    assert list_journals(tmp_path / "journal") == {
        living.path.stem: living.path.stat().st_size
    }  # who lives writes on
    (name,) = list_segments(tmp_path / "segments")
    assert len(segment_sources(tmp_path / "segments" / name)) == 2
    living.append([note(5)], after=5)
    assert notes(tmp_path) == ["n001", "n002", "n003", "n004", "n005"]
    living.close()


def test_a_few_small_journals_are_left(tmp_path):
    write(tmp_path, 1)
    assert compact(tmp_path / "journal", tmp_path / "segments", least=2) == 0
    assert len(list_journals(tmp_path / "journal")) == 1
    assert compact(tmp_path / "journal", tmp_path / "segments", least=2, large=1) == 1


def test_a_torn_line_is_dropped_and_said(tmp_path, caplog):
    write(tmp_path, 1, 2)
    (path,) = (tmp_path / "journal").iterdir()
    path.write_bytes(path.read_bytes()[:-10])
    compact(tmp_path / "journal", tmp_path / "segments", least=1)
    assert "dropped an incomplete last line" in caplog.text
    assert notes(tmp_path) == ["n001"]


@pytest.mark.parametrize("call", ["rename", "unlink"])
def test_killed_between_two_steps_nothing_is_lost_or_doubled(tmp_path, monkeypatch, call):
    """The process ends before the segment has its name, or before the journals are gone."""
    write(tmp_path, 1, 2)
    write(tmp_path, 3)

    class Killed(BaseException):
        pass

    def killed(*_, **__):
        raise Killed

    if call == "rename":
        monkeypatch.setattr(os, "rename", killed)
    else:
        monkeypatch.setattr(segments_module.Path, "unlink", killed)
    with pytest.raises(Killed):
        compact(tmp_path / "journal", tmp_path / "segments", least=1)
    monkeypatch.undo()
    assert notes(tmp_path) == ["n001", "n002", "n003"]
    compact(tmp_path / "journal", tmp_path / "segments", least=1)
    assert list_journals(tmp_path / "journal") == {}
    assert notes(tmp_path) == ["n001", "n002", "n003"]


def test_compaction_beside_an_open_index_adds_nothing_twice(tmp_path):
    first = write(tmp_path, 1, close=False)
    with Store.open(tmp_path) as store:
        assert len(store.records("note")) == 1
        first.append([note(2)])
        first.close()
        compact(tmp_path / "journal", tmp_path / "segments", least=1)
        assert store.refresh() and not store.refresh()
        assert [row["id"] for row in store.records("note")] == ["n001", "n002"]
    assert notes(tmp_path) == ["n001", "n002"]


def test_small_segments_are_merged(tmp_path):
    for number in range(5):
        write(tmp_path, number)
        compact(tmp_path / "journal", tmp_path / "segments", least=1, large=1)
        if number == 2:
            assert notes(tmp_path) == ["n000", "n001", "n002"]
    for number in range(5, 8):
        write(tmp_path, number)
        compact(tmp_path / "journal", tmp_path / "segments", least=99, large=1)
    before = len(list_segments(tmp_path / "segments"))
    assert before > 3
    merge(tmp_path / "segments", least=3)
    assert len(list_segments(tmp_path / "segments")) == 1
    assert notes(tmp_path) == [f"n{number:03d}" for number in range(8)]


def test_a_segment_gives_only_the_rows_not_yet_known(tmp_path):
    write(tmp_path, 1, 2, 3)
    (name,) = list_journals(tmp_path / "journal")
    compact(tmp_path / "journal", tmp_path / "segments", least=1)
    path = tmp_path / "segments" / list_segments(tmp_path / "segments")[0]
    positions = read_segment(path, {}).column("position").to_pylist()
    for known in range(4):
        upto = 0 if known == 0 else positions[known - 1]
        assert read_segment(path, {name: upto}).num_rows == 3 - known
    assert segment_sources(path) == {name: positions[-1]}


def test_a_damaged_segment_is_named(tmp_path):
    write(tmp_path, 1)
    compact(tmp_path / "journal", tmp_path / "segments", least=1)
    path = tmp_path / "segments" / list_segments(tmp_path / "segments")[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    with pytest.raises(Unreadable, match=r"cannot be read.*[Rr]estore") as caught:
        read_segment(path, {})
    assert path.name in str(caught.value)
    assert notes(tmp_path) == ["n001"] and path.read_bytes() == whole
    with Store.open(tmp_path) as store:
        (damage,) = store.damages
    assert damage.file == f"segments/{path.name}" and damage.byte == 100
    assert (damage.held, damage.size) == ("a part of 1 row of saved points", 0)


def test_a_newer_segment_is_refused(tmp_path, monkeypatch):
    write(tmp_path, 1)
    monkeypatch.setattr(segments_module, "SCHEMA", 3)
    compact(tmp_path / "journal", tmp_path / "segments", least=1)
    monkeypatch.undo()
    with pytest.raises(BadInput, match="newer"):
        Store.open(tmp_path)


def test_no_room_for_a_segment_leaves_the_journals(tmp_path, monkeypatch):
    write(tmp_path, 1)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    rows = next(iter(journal_tables(next((tmp_path / "journal").iterdir()), 0, 1 << 20)))[0]
    monkeypatch.setattr(segments_module.pq.ParquetWriter, "write_table", full)
    with pytest.raises(NotSaved):
        write_segment(tmp_path / "segments", [rows], {})
    with Store.open(tmp_path) as store:
        assert len(store.records("note")) == 1
    assert list((tmp_path / "segments").iterdir()) == []


def test_what_a_killed_compaction_left_is_removed_in_time(tmp_path):
    (tmp_path / "segments").mkdir()
    old, new = tmp_path / "segments" / ".1.parquet.new", tmp_path / "segments" / ".2.parquet.new"
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (1, 1))
    compact(tmp_path / "journal", tmp_path / "segments")
    assert not old.exists() and new.exists()


def test_a_journal_that_its_maker_left_half_made_is_removed_and_no_other(tmp_path):
    journals = tmp_path / "journal"
    journals.mkdir()
    left, held = journals / ".1-7-ab.new", journals / ".2-8-cd.new"
    left.write_bytes(b"half")
    with held.open("wb") as maker:
        fcntl.flock(maker, fcntl.LOCK_EX)
        for each in (left, held):
            os.utime(each, (time.time() - 1,) * 2)
        compact(journals, tmp_path / "segments")
        assert not left.exists() and held.exists()


def test_a_segment_made_elsewhere_is_taken_once(tmp_path):
    """Copied again, merged away and copied once more: no row is read twice."""
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "home"
    write(elsewhere, 1, 2)
    compact(elsewhere / "journal", elsewhere / "segments", least=1)
    (name,) = list_segments(elsewhere / "segments")
    write(home, 3)
    assert notes(home) == ["n003"]
    for _ in range(2):
        copied = copy_segment(elsewhere / "segments" / name, home / "segments")
        assert copied == home / "segments" / name
    assert notes(home) == ["n001", "n002", "n003"]
    compact(home / "journal", home / "segments", least=1)
    merge(home / "segments", least=1)
    assert not copied.exists()
    copy_segment(elsewhere / "segments" / name, home / "segments")
    (home / "index.duckdb").unlink()
    assert notes(home) == ["n001", "n002", "n003"]
