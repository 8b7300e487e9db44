"""Clocks set back and forward, in a process and between processes.

What is newest is what was written last, whatever the clocks say: the time of a row is for people.
No system clock is turned: `time.time` answers another time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cache.compaction import compact
from cache.store import Store
from tests.faults.paced_service import FAMILY, NUMERICS, OBJECTIVE, row

pytestmark = pytest.mark.faults

YEAR = 365 * 24 * 3600.0
POINT = "0123456789ab"
FAILURE = {
    "kind": "failure", "point": POINT, "recipe": row(POINT)["recipe"], "family": FAMILY,
    "split": "explore", "numerics": NUMERICS, "error": "out of memory",
}  # fmt: skip

TURNS = [0.0, -1.0, -YEAR, YEAR]
"""Seconds by which the clock differs from the first writer's."""


@contextmanager
def clock(by: float) -> Iterator[None]:
    """Within it the clock is so many seconds ahead."""
    seconds, nanoseconds = time.time, time.time_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: seconds() + by)
        patch.setattr(time, "time_ns", lambda: nanoseconds() + int(by * 1e9))
        yield


def columns(store: Store) -> tuple[dict[str, str], list[float]]:
    """Why points failed, and the means there are."""
    found = store.columns(FAMILY, {"paced": OBJECTIVE}, "explore", NUMERICS)
    return dict(found.errors), found.table[0, :, 0].tolist()


@pytest.mark.parametrize("by", TURNS)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_success_after_a_failure_is_a_success(tmp_path: Path, by: float, processes: int) -> None:
    with Store.open(tmp_path) as first:
        first.append([FAILURE])
        if processes == 1:
            with clock(by):
                first.append([row(POINT)])
        else:
            with clock(by), Store.open(tmp_path) as second:
                second.append([row(POINT)])
        first.refresh()
        assert columns(first) == ({}, [1.0])
    with clock(by), Store.open(tmp_path) as store:
        assert columns(store) == ({}, [1.0])
        compact(tmp_path / "journal", tmp_path / "segments", least=1, large=1)
    (tmp_path / "index.duckdb").unlink()
    with clock(by), Store.open(tmp_path) as store:
        assert columns(store) == ({}, [1.0])


@pytest.mark.parametrize("by", TURNS)
def test_a_failure_after_a_success_is_told(tmp_path: Path, by: float) -> None:
    with Store.open(tmp_path) as store:
        store.append([row(POINT)])
        with clock(by):
            store.append([FAILURE])
        errors, means = columns(store)
    assert errors == {POINT: "out of memory"} and means == [1.0]


@pytest.mark.parametrize("by", TURNS)
def test_the_newest_of_two_scores_counts(tmp_path: Path, by: float) -> None:
    with Store.open(tmp_path) as first:
        first.append([row(POINT)])
        with clock(by), Store.open(tmp_path) as second:
            second.append([{**row(POINT), "mean": 2.0}])
        first.refresh()
        assert columns(first)[1] == [2.0]
        [newest] = first.scores(FAMILY)
        assert newest["mean"] == 2.0


@pytest.mark.parametrize("by", TURNS)
def test_a_finished_sweep_is_finished(tmp_path: Path, by: float) -> None:
    """The record of a sweep, by one id: what was written last is how it stands."""
    record = {"kind": "sweep", "id": "s", "family": FAMILY}
    with Store.open(tmp_path) as store:
        store.append([{**record, "state": "running"}])
        with clock(by):
            store.append([{**record, "state": "done"}])
        assert [each["state"] for each in store.records("sweep")] == ["done"]
    with Store.open(tmp_path) as store:
        assert [each["state"] for each in store.records("sweep")] == ["done"]


def test_order_is_the_order_of_writing(tmp_path: Path) -> None:
    names = [f"{k:012x}" for k in range(8)]
    with Store.open(tmp_path) as store:
        for turn, name in enumerate(names):
            with clock((-1) ** turn * turn * 1000.0):
                store.append([row(name)])
        assert [each["point"] for each in store.scores(FAMILY)] == names
    with Store.open(tmp_path) as store:
        assert [each["point"] for each in store.scores(FAMILY)] == names


def test_times_to_come_hold_nothing_up(tmp_path: Path) -> None:
    """Files of a writer whose clock was a year ahead; what it left half made goes, too."""
    with clock(YEAR), Store.open(tmp_path) as store:
        store.append([row(f"{k:012x}") for k in range(3)])
    left = tmp_path / "journal" / ".00000000000000000001-1-abcd.new"
    left.write_bytes(b"{")
    then = time.time() + YEAR
    for each in tmp_path.rglob("*"):
        os.utime(each, (then, then))
    with Store.open(tmp_path) as store:
        store.append([row("f" * 12)])
        assert len(store.scores(FAMILY)) == 4
        compact(tmp_path / "journal", tmp_path / "segments", least=1, large=1)
        assert len(store.scores(FAMILY)) == 4
    assert not left.exists()
