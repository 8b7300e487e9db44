from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import threading
import weakref

import duckdb
import numpy as np
import pytest

from cache import follow
from cache import point as point_module
from cache.columns import join
from cache.compaction import compact
from cache.damage import told
from cache.index import Index
from cache.journal import Journal, NotSaved
from cache.store import Store
from engine.errors import BadInput, ParetoscopeError

OBJECTIVES = {"facts": "fp-facts", "style": "fp-style"}
HERE = ("explore", "cpu/float32/1")
clock = itertools.count(1)


def score(point: str, objective: str = "facts", mean: float | None = 0.5, **more) -> dict:
    return {
        "kind": "score",
        "point": point,
        "recipe": {"method": "linear", "coefficients": {"a": 1.0}, "parameters": {}, "of": point},
        "family": "fam",
        "objective": objective,
        "objective_fingerprint": OBJECTIVES[objective],
        "scorer": "nll",
        "split": "explore",
        "numerics": "cpu/float32/1",
        "n": 2,
        "mean": mean,
        "stderr": None,
        "low": 0.1,
        "high": 0.9,
        "values": [0.25, 0.75],
        "seconds": 1.5,
        "tokens": None,
        "texts": None,
        "at": float(next(clock)),
        "versions": {"torch": "2"},
        **more,
    }


def failure(point: str, error: str = "out of memory", **more) -> dict:
    row = score(point)
    return {
        "kind": "failure",
        "error": error,
        **{name: row[name] for name in ("point", "recipe", "family", "split", "numerics", "at")},
        **more,
    }


def points(store: Store) -> list:
    return store.points("fam", OBJECTIVES, *HERE)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "home") as opened:
        yield opened


def test_the_workspace_is_for_its_owner_alone(tmp_path):
    with Store.open(tmp_path / "deep" / "home"):
        assert (tmp_path / "deep" / "home").stat().st_mode & 0o777 == 0o700


def test_a_point_joins_its_scores(store):
    store.append([score("p1"), score("p1", "style", 0.25), score("p2", mean=None)])
    first, second = points(store)
    assert (first.id, first.recipe["of"], first.seconds, first.error) == ("p1", "p1", 3.0, None)
    assert first.scores == {
        "facts": {"mean": 0.5, "stderr": None, "n": 2, "low": 0.1, "high": 0.9},
        "style": {"mean": 0.25, "stderr": None, "n": 2, "low": 0.1, "high": 0.9},
    }
    assert second.id == "p2" and second.scores["facts"]["mean"] is None
    assert store.point("p1") == first.recipe and store.point("p9") is None
    assert store.has("p1", "fp-style", *HERE) and not store.has("p2", "fp-style", *HERE)
    assert store.numerics("fam") == ["cpu/float32/1"] and store.numerics("other") == []


def test_only_current_fingerprints_split_and_numerics_count(store):
    store.append(
        [
            score("p1", objective_fingerprint="old"),
            score("p2", split="report"),
            score("p3", numerics="cuda/bfloat16/1"),
            score("p4", family="other"),
            score("p5", "style"),
        ]
    )
    assert [each.id for each in points(store)] == ["p5"]
    assert list(points(store)[0].scores) == ["style"]
    report = store.points("fam", OBJECTIVES, "report", HERE[1])
    assert [each.id for each in report] == ["p2"]
    assert store.numerics("fam") == ["cpu/float32/1", "cuda/bfloat16/1"]


def test_two_names_of_one_fingerprint_share_a_score(store):
    store.append([score("p1")])
    (point,) = store.points("fam", {"a": "fp-facts", "b": "fp-facts"}, *HERE)
    assert point.scores["a"] == point.scores["b"] and point.seconds == 1.5


def test_rows_of_one_id_count_once(store):
    row = score("p1")
    store.append([row, row])
    store.append([row])
    assert len(store.scores("fam")) == 1 and points(store)[0].seconds == 1.5


def test_the_newest_score_is_current_and_the_first_keeps_the_place(store):
    store.append([score("p1"), score("p2")])
    store.append([score("p1", mean=0.75)])
    assert [(each.id, each.scores["facts"]["mean"]) for each in points(store)] == [
        ("p1", 0.75),
        ("p2", 0.5),
    ]
    assert [row["mean"] for row in store.scores("fam", point="p1")] == [0.75]


def test_a_failure_shows_until_a_later_success(store):
    store.append([score("p1"), failure("p1", "first"), failure("p2"), failure("p1", "second")])
    one, two = points(store)
    assert (one.error, list(one.scores)) == ("second", ["facts"])
    assert (two.error, two.scores, two.seconds) == ("out of memory", {}, None)
    store.append([score("p1", "style", numerics="cuda/bfloat16/1"), score("p2", split="report")])
    assert [each.error for each in points(store)] == ["second", "out of memory"]
    store.append([score("p1", "style"), score("p2")])
    assert [each.error for each in points(store)] == [None, None]
    assert len(store.records("failure", "fam")) == 3


def test_scores_come_back_as_they_were_appended(store):
    row = score("p1", more={"deep": [1]})
    store.append([row, score("p2", "style")])
    found = store.scores("fam", objectives={"x": "fp-facts"})
    left_out = {"id": None, "sequence": None}
    assert len(found) == 1 and {**found[0], **left_out} == {**row, **left_out, "error": None}
    assert "values" not in store.scores("fam", values=False)[0]
    assert store.scores("fam", numerics="cuda/bfloat16/1") == []


def test_rows_of_other_kinds_are_kept(store):
    store.append([{"kind": "vote", "family": "fam", "picked": "p1", "at": 2.0}])
    store.append([{"kind": "vote", "family": "other", "picked": "p2", "at": 1.0}])
    assert [row["picked"] for row in store.records("vote")] == ["p1", "p2"]
    assert [row["picked"] for row in store.records("vote", "fam")] == ["p1"]
    assert points(store) == []


def test_names_are_data_and_never_sql(store):
    name = "p'; DROP TABLE rows; --"
    store.append([score(name)])
    assert store.point(name)["of"] == name and points(store)[0].id == name


def test_a_second_store_reads_in_memory_and_both_write(tmp_path):
    with Store.open(tmp_path) as one, Store.open(tmp_path) as two:
        assert (one.owner, two.owner) == (True, False)
        one.append([score("p1")])
        assert points(two) == [] and two.refresh() and not two.refresh()
        two.append([score("p2")])
        assert one.refresh() and points(one) == points(two) and len(points(one)) == 2
    with Store.open(tmp_path) as again:
        assert again.owner and len(points(again)) == 2


def test_version_grows_with_new_rows_only(store):
    before = store.version
    assert not store.refresh() and store.version == before
    store.append([score("p1")])
    assert store.version > before
    after = store.version
    assert not store.refresh() and store.version == after


def test_remembered_points_equal_those_joined_anew(tmp_path):
    """Random rows from two writers: joining what changed gives what joining all gives."""
    dice = random.Random(3)
    with Store.open(tmp_path) as one, Store.open(tmp_path) as two:
        for _ in range(40):
            writer = dice.choice([one, two])
            name = f"p{dice.randrange(12)}"
            at = float(dice.randrange(40))
            writer.append(
                [
                    dice.choice([score, failure])(name, at=at),
                    score(name, dice.choice(list(OBJECTIVES)), dice.random(), at=at + 0.5),
                ][: dice.randrange(1, 3)]
            )
            one.refresh(), two.refresh()
            anew = join(two._follower._index, "fam", OBJECTIVES, *HERE).points({})
            assert points(one) == points(two) == anew


def test_points_given_out_are_the_callers_list(store):
    store.append([score("p1")])
    points(store).clear()
    assert len(points(store)) == 1


def test_what_was_saved_is_there_after_opening_again(tmp_path):
    with Store.open(tmp_path) as store:
        store.append(score(f"p{number}") for number in range(250))
        before = points(store)
    with Store.open(tmp_path) as store:
        assert points(store) == before and len(before) == 250


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: file.write_bytes(b"garbage" * 1000),
        lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        lambda file: file.write_bytes(b""),
        lambda file: file.unlink(),
        lambda file: _other_schema(file),
        lambda file: _other_tables(file),
    ],
    ids=["garbage", "cut", "empty", "gone", "schema", "tables"],
)
def test_an_index_that_cannot_be_used_is_rebuilt(tmp_path, harm):
    with Store.open(tmp_path) as store:
        store.append(score(f"p{number}") for number in range(30))
        before = points(store)
    harm(tmp_path / "index.duckdb")
    with Store.open(tmp_path) as store:
        assert store.owner and points(store) == before
    with duckdb.connect(str(tmp_path / "index.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM rows").fetchone() == (30,)


def _other_schema(file):
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE version SET schema = 0")


def _other_tables(file):
    file.unlink()
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE rows (a INTEGER)")


def test_an_index_ahead_of_the_journals_is_rebuilt(tmp_path, caplog):
    with Store.open(tmp_path) as store:
        store.append([score("p1")])
        (journal,) = (tmp_path / "journal").iterdir()
        copy = journal.read_bytes()
        store.append([score("p2")])
    journal.write_bytes(copy)
    with caplog.at_level(logging.WARNING), Store.open(tmp_path) as store:
        assert [each.id for each in points(store)] == ["p1", "p2"]
        (damage,) = store.damages
    assert "rows that are missing from the journals" in caplog.text
    assert "1 row (points p2)" in damage.held and "saved again" in damage.outcome
    shutil.rmtree(tmp_path / "journal")
    for _ in range(2):
        with Store.open(tmp_path) as store:
            assert [each.id for each in points(store)] == ["p1", "p2"]
            assert len(store.damages) == 3  # told once for each journal
            assert len(store._follower.query("SELECT id FROM rows", [])["id"]) == 2
    (tmp_path / "index.duckdb").unlink()
    with Store.open(tmp_path) as store:
        assert [each.id for each in points(store)] == ["p1", "p2"]


def test_an_index_that_fails_while_in_use_is_rebuilt(store, caplog):
    store.append([score("p1")])
    store._follower._index.close()
    assert [each.id for each in points(store)] == ["p1"]
    store._follower._index.close()
    store.append([score("p2")])
    assert len(points(store)) == 2 and "rebuilding the index" in caplog.text


def test_an_index_the_disk_has_no_room_for_is_kept_in_memory(store, monkeypatch):
    real = follow.Index

    def refuse(path):
        if path is not None:
            raise duckdb.IOException("No space left on device")
        return real(path)

    store.append([score("p1")])
    monkeypatch.setattr(follow, "Index", refuse)
    store._follower._index.close()
    store.append([score("p2")])
    assert [each.id for each in points(store)] == ["p1", "p2"]


def test_saved_is_saved_even_where_the_index_does_not_take_it(store, monkeypatch, caplog):
    def fail():
        raise duckdb.InternalException("broken")

    store.append([score("p1")])
    monkeypatch.setattr(store, "refresh", fail)
    store.append([score("p2")])
    assert points(store) == [] and "saved, but not added to the index" in caplog.text
    monkeypatch.undo()
    assert len(points(store)) == 2  # the next question tries again by itself


def test_rows_are_numbered_after_those_of_others(tmp_path):
    """Whether or not an index took the own rows before: the writer itself knows their numbers."""
    with Store.open(tmp_path) as one, Store.open(tmp_path) as two:
        for turn in range(3):
            one.append([score("p1", mean=turn / 10)] * 2)
            two.append([score("p1", mean=turn / 10 + 0.05)])
        found = [row["sequence"] for row in one.scores("fam")]
        assert found == [9] and points(one)[0].scores["facts"]["mean"] == 0.25
        one.append([score("p1", mean=0.75)])
        assert one.scores("fam")[0]["sequence"] == 10


def test_a_full_disk_is_said_and_nothing_is_shown_as_saved(store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(NotSaved, match="Free some space"):
        store.append([score("p1")])
    monkeypatch.undo()
    assert not store.refresh() and points(store) == []


def test_a_workspace_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="file"):
        Store.open(tmp_path / "file")


def test_a_line_that_is_no_row_is_said_and_passed_over(tmp_path):
    journal = Journal(tmp_path / "journal")
    journal.append([score("p1"), score("p2"), score("p3")])
    path = journal.path
    journal.close()
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b'{"kind":"score","point":"half\n'
    lines.insert(3, b'{"kind":"score","mean":"text"}\n')
    lines.append(b"\x00\x00\x00\n")
    path.write_bytes(b"".join(lines))
    with Store.open(tmp_path) as store:
        assert [each.id for each in points(store)] == ["p1", "p3"]
        found = store.damages
        assert [each.line for each in found] == [3, 4, 6]
        assert {each.outcome for each in found} == {"it is skipped"}
        words = f"line 6, byte {found[2].byte}: a row that cannot be read at all; it is skipped"
        assert told(tmp_path, found)[2].endswith(words)
    compact(tmp_path / "journal", tmp_path / "segments", least=1)
    assert not path.exists()
    with Store.open(tmp_path) as store:
        assert [each.id for each in points(store)] == ["p1", "p3"] and store.damages == found
    kept = [tmp_path / "damaged" / f"{each.id}.bytes" for each in found]
    assert [each.read_bytes() for each in kept] == [lines[2], lines[3], lines[5]]


def test_threads_read_while_others_write(store):
    errors = []

    def read():
        try:
            seen = 0
            for _ in range(30):
                now = len(points(store))
                assert now >= seen
                seen = now
                store.scores("fam", values=False)
        except Exception as error:
            errors.append(error)

    def write(start):
        try:
            for number in range(10):
                store.append([score(f"p{start + number}"), score(f"p{start + number}", "style")])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(100 * each,)) for each in range(3)]
    threads += [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and len(points(store)) == 30


def test_default_workspace(monkeypatch, tmp_path):
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path))
    assert point_module.default_workspace() == tmp_path
    monkeypatch.delenv("PARETOSCOPE_HOME")
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(point_module.default_workspace()) == "/somewhere/.paretoscope"


def test_the_lock_names_its_owner(store):
    assert json.loads((store.workspace / "index.lock").read_text()) == os.getpid()


def test_a_full_disk_does_not_keep_anyone_from_opening(tmp_path, monkeypatch, caplog):
    for number in range(10):
        journal = Journal(tmp_path / "journal")
        journal.append([score(f"p{number}")])
        journal.close()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cache.segments.pq.ParquetWriter.write_table", full)
    with Store.open(tmp_path) as store:
        assert len(points(store)) == 10 and "not compacted" in caplog.text


def test_closing_frees_the_index_whatever_threads_read(tmp_path):
    store = Store.open(tmp_path)
    store.append([score("p1")])
    done, read_once = threading.Event(), threading.Event()

    def read():
        points(store)
        read_once.set()
        done.wait(10)

    thread = threading.Thread(target=read)
    thread.start()
    assert read_once.wait(30)
    store.close()
    for question in (lambda: points(store), lambda: store.point("p1"), lambda: store.scores("fam")):
        with contextlib.suppress(ParetoscopeError):
            question()  # what it remembers, or an error: not a new index
    script = "import sys, duckdb; duckdb.connect(sys.argv[1])"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "index.duckdb")], check=True)
    done.set()
    thread.join()


def test_a_writer_faster_than_its_reader_does_not_hold_it(tmp_path, monkeypatch):
    """Each row that is read brings another: refreshing ends all the same."""
    journal = Journal(tmp_path / "journal")
    with Store.open(tmp_path) as store:
        real, left = follow.Index.insert, [50]

        def insert(*arguments):
            real(*arguments)
            left[0] -= 1
            assert left[0], "it reads on for ever"
            journal.append([score(f"p{left[0]}")])

        monkeypatch.setattr(follow.Index, "insert", insert)
        journal.append([score("first")])
        assert store.refresh() and store.refresh()
        monkeypatch.undo()
    journal.close()


def test_examples_of_points_are_the_newest_in_the_order_asked_for(tmp_path):
    with Store.open(tmp_path) as store:
        store.append([score("p1", values=[1.0, 0.0]), score("p2", values=[0.5])])
        store.append([score("p1", values=[0.25, None]), score("p3", "style", values=[9.0])])
        store.append([score("p4", values=[7.0], split="report")])
        found = store.examples("fp-facts", *HERE, ["p2", "p1", "p3", "none", "p4"])
    expected = [[0.5, np.nan], [0.25, np.nan], *[[np.nan, np.nan]] * 3]
    np.testing.assert_array_equal(found, expected)


def test_a_level_index_is_asked_without_pyarrow(tmp_path):
    """It costs 50 MB and 0.15 s, and only what writes and reads journals and segments needs it."""
    with Store.open(tmp_path) as store:
        store.append([score("p1"), score("p2")])
    compact(tmp_path / "journal", tmp_path / "segments", least=1)
    with Store.open(tmp_path) as store:
        assert len(points(store)) == 2
    script = (
        "import sys; from cache.store import Store; store = Store.open(sys.argv[1]);"
        f" found = store.means('fam', {OBJECTIVES}, *{HERE}); store.close();"
        " sys.exit('pyarrow' in sys.modules or len(found.ids) != 2)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


def test_a_closed_index_holds_no_connection():
    """One that outlives its process in a cycle is reported on standard error, in forty lines."""
    index = Index(None)
    index.arrays("SELECT 1 AS one")
    held = [weakref.ref(each) for each in (index._connection, index._own_cursor())]
    index.close()
    assert [each() for each in held] == [None, None]
    with pytest.raises(duckdb.Error, match="closed"):
        index.arrays("SELECT 1 AS one")
