"""A segment is taken in group by group; wherever that ends, the rest follows, and nothing twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cache.arrow import pa
from cache.index import Index
from cache.journal import Journal
from cache.segments import list_segments, load_segment, write_segment
from cache.steps import in_order, steps
from cache.store import Store
from cache.tables import journal_tables, reach


def journals(home: Path, *counts: int) -> pa.Table:
    """The rows of as many journals as there are counts, which are removed."""
    tables, number = [], 0
    for count in counts:
        journal = Journal(home / "journal")
        for _ in range(count):
            number += 1
            journal.append([{"kind": "note", "id": f"n{number:03d}", "at": float(number)}])
        assert journal.path is not None
        tables += [rows for rows, _, _ in journal_tables(journal.path, 0, 1 << 20)]
        journal.path.unlink()
        journal.close()
    return pa.concat_tables(tables)


def ends(rows: pa.Table) -> dict[str, int]:
    return {name: last for name, (_, last) in reach(rows).items()}


def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cache.segments", "cache.steps"):
        monkeypatch.setattr(f"{module}.AT_A_TIME", 2)


def physical(home: Path) -> list[str]:
    """Ids of the rows in an index, each as often as it is there."""
    with Store.open(home) as store:
        return sorted(store._follower.query('SELECT "id" FROM rows', [])["id"])


@pytest.fixture
def at_every_insertion(monkeypatch):
    """Copies a workspace as a kill would leave it after each insertion of rows into an index."""
    copies: list[Path] = []
    insert = Index.insert

    def inserted(index: Index, tables, read_to):
        insert(index, tables, read_to)
        assert index.path is not None
        home = index.path.parent
        copies.append(home.with_name(f"{home.name}-{len(copies)}"))
        shutil.copytree(home, copies[-1])

    few_at_a_time(monkeypatch)
    monkeypatch.setattr(Index, "insert", inserted)
    yield copies
    monkeypatch.undo()


def test_a_kill_between_two_groups_loses_and_doubles_nothing(tmp_path, at_every_insertion):
    home = tmp_path / "home"
    rows = journals(home, 3, 4, 2)
    write_segment(home / "segments", [rows], ends(rows))
    expected = rows.column("id").to_pylist()
    assert physical(home) == expected
    copies = list(at_every_insertion)
    assert len(copies) >= 5  # of two rows each
    sizes = []
    for copy in copies:
        index = Index(copy / "index.duckdb")
        there = index.arrays('SELECT "id" FROM rows ORDER BY source, position')["id"].tolist()
        known = index.known
        index.close()
        read = [
            row["id"] for row in rows.to_pylist() if row["position"] <= known.get(row["source"], 0)
        ]
        assert sorted(there) == read
        sizes.append(len(there))
        assert physical(copy) == expected
    assert sizes == sorted(set(sizes)) and sizes[0] < sizes[-1] == len(expected)


def test_a_segment_that_is_not_in_order_is_taken_in_at_once(tmp_path, at_every_insertion):
    home = tmp_path / "home"
    rows = journals(home, 5)
    backwards = rows.take(list(reversed(range(5))))
    write_segment(home / "segments", [backwards], ends(rows))
    assert physical(home) == rows.column("id").to_pylist()
    assert len(at_every_insertion) == 1


def test_rows_of_several_journals_may_alternate(tmp_path, monkeypatch):
    few_at_a_time(monkeypatch)
    rows = journals(tmp_path, 3, 3)
    path = write_segment(tmp_path / "segments", [rows.take([0, 3, 1, 4, 2, 5])], ends(rows))
    assert path is not None and in_order(path)
    known: dict[str, int] = {}
    taken = []
    for tables, upto in steps(path, known):
        taken += [each for table in tables for each in table.column("id").to_pylist()]
        known.update(upto)
    assert sorted(taken) == rows.column("id").to_pylist() and known == ends(rows)
    repeated = rows.take([0, 1, 2, 1])
    again = write_segment(tmp_path / "more", [repeated], ends(repeated))
    assert again is not None and not in_order(again)


def test_what_a_segment_says_beyond_its_last_row_is_known_too(tmp_path):
    rows = journals(tmp_path, 2)
    further = {name: end + 7 for name, end in ends(rows).items()}  # damaged lines, set aside
    write_segment(tmp_path / "segments", [rows], further)
    with Store.open(tmp_path) as store:
        assert store._follower._index.known == further
        (name,) = list_segments(tmp_path / "segments")
        tables, _ = load_segment(tmp_path / "segments" / name, further)
        assert sum(each.num_rows for each in tables) == 0
