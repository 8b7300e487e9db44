from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from cache import journal as journal_module
from cache.journal import (
    Journal,
    NotSaved,
    journal_schema,
    list_journals,
    make_directory,
    read_journal,
)
from cache.lines import seal
from engine.errors import BadInput


def note(number: int) -> dict:
    return {"kind": "note", "id": f"{number}", "at": 1.0, "size": "x" * 50}


def ids(directory) -> list[str]:
    """Ids of all whole lines in all journals, headers left out; every line must be JSON."""
    found = []
    for name in list_journals(directory):
        lines = read_journal(directory / f"{name}.jsonl").decode().splitlines()
        found += [json.loads(line)["id"] for line in lines[1:]]
    return found


def test_rows_are_lines_below_a_header(tmp_path):
    journal = Journal(tmp_path / "journal")
    assert not (tmp_path / "journal").exists()  # who only reads leaves nothing behind
    journal.append([note(1), note(2)])
    journal.append([note(3)])
    (name,) = list_journals(tmp_path / "journal")
    header = json.loads((tmp_path / "journal" / f"{name}.jsonl").read_text().splitlines()[0])
    assert header["kind"] == "journal" and header["schema"] == 2 and header["pid"] == os.getpid()
    assert ids(tmp_path / "journal") == ["1", "2", "3"]
    journal.close()


def test_directories_and_files_are_for_their_owner_alone(tmp_path):
    journal = Journal(tmp_path / "a" / "b")
    journal.append([note(1)])
    modes = [(tmp_path / "a").stat(), (tmp_path / "a" / "b").stat(), journal.path.stat()]
    assert [mode.st_mode & 0o777 for mode in modes] == [0o700, 0o700, 0o600]
    journal.close()


def test_a_bad_row_leaves_nothing_behind(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(ValueError):
        journal.append([note(1), {"kind": ""}])
    assert list_journals(tmp_path) == {}


def test_each_batch_of_a_hundred_is_synced(tmp_path, monkeypatch):
    synced = []
    real = os.fsync

    def counting(descriptor):
        synced.append(os.fstat(descriptor).st_size)
        real(descriptor)

    journal = Journal(tmp_path)
    journal.append([note(0)])
    monkeypatch.setattr(os, "fsync", counting)
    journal.append(note(number) for number in range(250))
    assert len(synced) == 3 and synced == sorted(set(synced))
    journal.close()


def test_a_torn_last_line_is_no_row(tmp_path):
    journal = Journal(tmp_path)
    journal.append([note(1)])
    path = journal.path
    journal.close()
    whole = path.read_bytes()
    for cut in range(1, 60):
        path.write_bytes(whole[:-cut])
        assert ids(tmp_path) == []
    path.write_bytes(whole + b'{"kind": "note", "id": "half')
    assert ids(tmp_path) == ["1"]


def test_reading_goes_on_where_it_stopped(tmp_path):
    journal = Journal(tmp_path)
    journal.append([note(1)])
    first = read_journal(journal.path)
    assert read_journal(journal.path, len(first)) == b""
    journal.append([note(2)])
    assert json.loads(read_journal(journal.path, len(first)))["id"] == "2"
    journal.close()


def test_lines_longer_than_a_chunk_are_read(tmp_path):
    journal = Journal(tmp_path)
    journal.append([note(number) for number in range(20)])
    start, found = 0, b""
    while data := read_journal(journal.path, start, chunk=10):
        assert data.endswith(b"\n")
        start, found = start + len(data), found + data
    assert found == journal.path.read_bytes()
    journal.close()


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "1.jsonl"
    path.write_bytes(seal('{"kind":"journal","schema":3}'))
    with pytest.raises(BadInput, match=r"schema 3.*newer"):
        journal_schema(path)


def test_a_flipped_digit_is_no_newer_schema(tmp_path):
    path = tmp_path / "1.jsonl"
    path.write_bytes(seal('{"kind":"journal","schema":2}').replace(b":2,", b":6,"))
    assert journal_schema(path) is None
    path.write_bytes(seal('{"kind":"journal","schema":2}').replace(b":2,", b":1,"))
    assert journal_schema(path) is None
    path.write_bytes(b'{"kind":"journal","schema":1}\n')
    assert journal_schema(path) == 1


def test_sequences_go_on_from_the_largest_known(tmp_path):
    journal = Journal(tmp_path)
    journal.append([note(1), note(2)])
    journal.append([note(3)], after=40)
    journal.append([{**note(4), "sequence": 1000}], after=7)
    lines = journal.path.read_text().splitlines()[1:]
    assert [json.loads(line)["sequence"] for line in lines] == [1, 2, 41, 42]
    journal.close()


def test_threads_share_one_file(tmp_path):
    journal = Journal(tmp_path)

    def write(start: int) -> None:
        for number in range(start, start + 20):
            journal.append([note(number)])

    threads = [threading.Thread(target=write, args=(100 * each,)) for each in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list_journals(tmp_path)) == 1
    assert len(ids(tmp_path)) == len(set(ids(tmp_path))) == 100
    journal.close()


def test_a_file_removed_under_the_writer_is_replaced(tmp_path):
    journal = Journal(tmp_path)
    journal.append([note(1)])
    journal.path.unlink()
    journal.append([note(2)])
    assert ids(tmp_path) == ["2"]
    journal.close()


@pytest.mark.parametrize("taken", [0, 1, 30, 150, 250])
def test_a_disk_that_fills_up_midway(tmp_path, monkeypatch, taken):
    """Of a batch the disk takes `taken` bytes: nothing half stays, and it goes on later."""
    journal = Journal(tmp_path)
    journal.append([note(0)])
    room = [taken]
    real = os.write

    def write(descriptor, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(descriptor, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(NotSaved, match="the disk is full") as caught:
        journal.append(note(number) for number in range(1, 5))
    assert str(tmp_path) in str(caught.value) and caught.value.exit_code == 1
    with pytest.raises(NotSaved):
        journal.append([note(9)])
    monkeypatch.setattr(os, "write", real)
    journal.append(note(number) for number in range(1, 5))
    found = ids(tmp_path)
    assert set(found) == {"0", "1", "2", "3", "4"}
    for name in list_journals(tmp_path):
        assert (tmp_path / f"{name}.jsonl").read_bytes().endswith(b"\n")
    assert [each for each in os.listdir(tmp_path) if each.endswith(".new")] == []
    journal.close()


def test_after_a_failed_fsync_the_file_is_left(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.append([note(0)])
    real = os.fsync

    def fail(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotSaved, match="Input/output error"):
        journal.append([note(1)])
    monkeypatch.setattr(os, "fsync", real)
    journal.append([note(1)])
    assert len(list_journals(tmp_path)) == 2
    journal.close()


def test_a_real_limit_on_the_size_of_files(tmp_path):
    """The kernel takes part of a batch, then refuses: what was acknowledged stays, whole."""
    script = textwrap.dedent(
        """
        import json, resource, sys
        from pathlib import Path
        from cache.journal import Journal, NotSaved
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        journal = Journal(Path(sys.argv[1]))
        for number in range(100):
            try:
                rows = [{"kind": "note", "id": f"{number}.{part}", "at": 1.0} for part in range(3)]
                journal.append(rows)
            except NotSaved:
                print(json.dumps(number))
                break
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    failed = json.loads(done.stdout)
    found = ids(tmp_path)
    saved = [f"{number}.{part}" for number in range(failed) for part in range(3)]
    assert found[: len(saved)] == saved and failed > 3
    assert len(found) - len(saved) < 3


def test_who_cannot_write_is_told_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="--workspace"):
        make_directory(tmp_path / "file")
    with pytest.raises(BadInput, match="--workspace"):
        Journal(tmp_path / "file" / "journal").append([note(1)])

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(journal_module.os, "open", refuse)
    with pytest.raises(BadInput, match="Permission denied"):
        Journal(tmp_path).append([note(1)])
