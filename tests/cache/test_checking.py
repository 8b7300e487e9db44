from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cache import checking, follow
from cache.checking import Checking
from cache.store import Store


def test_what_is_damaged_in_a_large_file_is_found_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index has read it before: its row is saved again, and told."""
    with Store.open(tmp_path) as store:
        store.append([{"kind": "note", "id": "a", "text": "one"}, {"kind": "note", "id": "b"}])
    (path,) = (tmp_path / "journal").iterdir()
    data = path.read_bytes()
    place = data.index(b"one")
    path.write_bytes(data[:place] + b"O" + data[place + 1 :])
    monkeypatch.setattr(follow, "AT_ONCE", 0)
    monkeypatch.setattr(checking, "FIRST", 0.0)
    with Store.open(tmp_path) as store:
        thread = store._checking._thread
        assert thread is not None
        thread.join()
        (damage,) = store.damages
        assert damage.line == 2 and "saved again" in damage.outcome
        assert {row["id"]: row.get("text") for row in store.records("note")} == {
            "a": "one",
            "b": None,
        }
    (tmp_path / "index.duckdb").unlink()
    with Store.open(tmp_path) as store:
        assert {row["id"] for row in store.records("note")} == {"a", "b"}


def test_closing_waits_for_the_file_that_is_looked_at_and_no_other() -> None:
    begun, go_on, seen = threading.Event(), threading.Event(), []

    def check(files: list[tuple[Path, int]]) -> None:
        seen.extend(files)
        begun.set()
        go_on.wait(10)

    looking = Checking(check, [(Path("a"), 1), (Path("b"), 1)], first=0.0)
    begun.wait(10)
    threading.Timer(0.05, go_on.set).start()
    looking.close()
    assert seen == [(Path("a"), 1)]
