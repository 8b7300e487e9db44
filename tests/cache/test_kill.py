"""Processes killed at random moments: no acknowledged row is lost, none is there twice."""

from __future__ import annotations

import random
import select
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cache.compaction import compact
from cache.store import Store

WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from cache.journal import Journal
    home, name = Path(sys.argv[1]), sys.argv[2]
    journal, number = Journal(home / "journal"), 0
    while True:
        rows = [
            {"kind": "note", "id": f"{name}-{number + k}", "at": 1.0, "mean": (number + k) / 8,
             "more": f"{name}-{number + k}" * 50}
            for k in range(1 + number % 7)
        ]
        journal.append(rows)
        number += len(rows)
        print(number, flush=True)
    """
)
OWNER = textwrap.dedent(
    """
    import sys
    from cache.compaction import compact
    from cache.store import Store
    while True:
        with Store.open(sys.argv[1]) as store:
            print("open", flush=True)
            for _ in range(20):
                store.refresh()
            compact(store.workspace / "journal", store.workspace / "segments", least=1, large=1)
            store.refresh()
    """
)
SECONDS = 9.0


def start(script: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True
    )


def first_line(process: subprocess.Popen) -> str:
    assert select.select([process.stdout], [], [], 60)[0], "the process says nothing"
    return process.stdout.readline()


def last_acknowledged(process: subprocess.Popen, first: str) -> int:
    """The last number that a killed writer printed, in whole."""
    lines = (first + process.stdout.read()).split("\n")
    process.stdout.close()
    return int(lines[-2])


def held(home: Path) -> set[str]:
    """Ids in the store; every row must be whole and be there once."""
    with Store.open(home) as store:
        rows = store.records("note")
        physical = store._follower.query("SELECT count(*) AS n FROM rows", [])["n"][0]
    assert physical == len(rows), "a row was read twice"
    for row in rows:
        assert row["mean"] == int(row["id"].split("-")[1]) / 8
        assert row["more"] == row["id"] * 50
    return {row["id"] for row in rows}


@pytest.mark.faults
def test_two_writers_and_an_owner_killed_at_random(tmp_path):
    dice = random.Random(11)
    begun = time.monotonic()
    acknowledged: dict[str, int] = {}
    for turn in range(8):
        names = [f"w{turn}a", f"w{turn}b"]
        writers = [start(WRITER, str(tmp_path), name) for name in names]
        owner = start(OWNER, str(tmp_path))
        try:
            firsts = [first_line(writer) for writer in writers]
            if turn % 2:
                first_line(owner)
            victims = dice.sample([*writers, owner], 3)
            for victim in victims:
                time.sleep(dice.random() * 0.15)
                victim.kill()
        finally:
            for process in (*writers, owner):
                process.kill()
                process.wait()
        owner.stdout.close()
        for name, writer, first in zip(names, writers, firsts, strict=True):
            acknowledged[name] = last_acknowledged(writer, first)
        found = held(tmp_path)
        for name, count in acknowledged.items():
            missing = {f"{name}-{number}" for number in range(count)} - found
            assert not missing, f"acknowledged and lost in turn {turn}: {sorted(missing)[:5]}"
        if turn >= 2 and time.monotonic() - begun > SECONDS:
            break
    assert len(acknowledged) >= 6 and all(acknowledged.values())
    compact(tmp_path / "journal", tmp_path / "segments", least=1, large=1)
    assert held(tmp_path) == found
    # rebuilt from journals and segments alone it is the same
    (tmp_path / "index.duckdb").unlink()
    assert held(tmp_path) == found
