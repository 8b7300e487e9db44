"""The journal beside SQLite in WAL mode, on what a store of points is asked to hold out.

    damage   every STEP-th byte of the files altered, one at a time: how many rows are lost, whether
             any comes back changed, whether the store still opens, whether the damage is told
    kill     a writer killed with SIGKILL while it appends: acknowledged rows that are gone
    append   milliseconds of an append of one row, and of 100; bytes on disk

SQLite has `synchronous=FULL`, a checkpoint before it is damaged, and the same CRC-32 a row, kept in
a column. Each row is asked for by its rowid, so that what `sqlite3` raises for one costs that one;
what it does not reach is lost.

    python -m benchmarks.sqlite_store [--rows 20] [--step 7] [--kills 5]

Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

from cache.journal import Journal, list_journals
from cache.lines import schema_of, whole
from cache.rows import clean
from cache.tables import to_table

Rows = dict[str, float]


def row(number: int) -> dict[str, Any]:
    dice = random.Random(number)
    return {
        "kind": "score", "point": f"{number * 2654435761 % (1 << 48):012x}", "family": "f" * 64,
        "recipe": {"method": "linear", "coefficients": {"a": number / 100}, "parameters": {}},
        "objective": "facts", "objective_fingerprint": "0" * 64, "split": "explore",
        "numerics": "cpu/float32/1", "mean": dice.random(), "values": [dice.random()] * 64,
    }  # fmt: skip


class InJournal:
    """This project's way: one file a writer, one line a row."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._journal = Journal(home)

    def append(self, rows: list[dict[str, Any]]) -> None:
        self._journal.append(rows)

    def close(self) -> None:
        self._journal.close()

    @staticmethod
    def read(home: Path) -> tuple[Rows, bool]:
        """(point -> mean, whether something damaged was noticed)."""
        found: Rows = {}
        noticed = False
        for name in list_journals(home):
            data = (home / f"{name}.jsonl").read_bytes()
            schema = schema_of(data.split(b"\n", 1)[0])
            rows, bad = to_table(data[: whole(data)], name, 0, schema)
            noticed |= bool(bad)
            found |= dict(zip(rows["point"].to_pylist(), rows["mean"].to_pylist(), strict=True))
        return found, noticed


class InSqlite:
    """One database in WAL mode, `synchronous=FULL`, a checksum a row."""

    def __init__(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self._database = sqlite3.connect(home / "rows.db")
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE IF NOT EXISTS rows (line BLOB, crc INTEGER)")
        self._database.commit()

    def append(self, rows: list[dict[str, Any]]) -> None:
        lines = [json.dumps(clean(each)).encode() for each in rows]
        with self._database:
            self._database.executemany(
                "INSERT INTO rows VALUES (?, ?)", [(each, crc32(each)) for each in lines]
            )

    def close(self) -> None:
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()

    @staticmethod
    def read(home: Path) -> tuple[Rows, bool]:
        """(point -> mean, whether something damaged was noticed)."""
        found: Rows = {}
        noticed = False
        database = sqlite3.connect(home / "rows.db")
        try:
            for rowid in range(1, 10_000):
                try:
                    there = database.execute(
                        "SELECT line, crc FROM rows WHERE rowid = ?", [rowid]
                    ).fetchone()
                except (sqlite3.Error, OverflowError):
                    noticed = True
                    if rowid > 500:
                        break
                    continue
                if there is None:
                    if rowid > 500:
                        break
                    continue
                line, crc = there
                if not isinstance(line, bytes) or crc32(line) != crc:
                    noticed = True
                    continue
                each = json.loads(line)
                found[each["point"]] = each["mean"]
        finally:
            database.close()
        return found, noticed


KINDS: dict[str, Any] = {"journal": InJournal, "sqlite": InSqlite}


def damage(kind: Any, home: Path, count: int, step: int) -> dict[str, Any]:
    """What is lost, changed or unnoticed over single damaged bytes."""
    store = kind(home / "whole")
    for number in range(count):
        store.append([row(number)])
    store.close()
    good, noticed = kind.read(home / "whole")
    assert len(good) == count and not noticed
    (path,) = (each for each in (home / "whole").iterdir() if each.stat().st_size)
    data, told, lost = path.read_bytes(), Counter[str](), list[int]()
    for place in range(0, len(data), step):
        work = home / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        bad = bytearray(data)
        bad[place] ^= 1 << place % 8
        (work / path.name).write_bytes(bad)
        try:
            found, noticed = kind.read(work)
        except sqlite3.Error:
            told["closed"] += 1
            found, noticed = {}, True
        lost.append(len(good) - len(good.keys() & found.keys()))
        told["changed"] += any(good.get(point) != mean for point, mean in found.items())
        told["lost and not told"] += bool(lost[-1]) and not noticed
    return {
        "damages": len(lost),
        "rows_lost_most": max(lost),
        "rows_lost_mean": round(statistics.fmean(lost), 2),
        "more_than_one_row_lost": sum(each > 1 for each in lost),
        **{name: told[name] for name in ("closed", "changed", "lost and not told")},
    }


WRITER = """
import sys
from pathlib import Path
from benchmarks.sqlite_store import KINDS, row
store = KINDS[sys.argv[1]](Path(sys.argv[2]))
for number in range(100000):
    store.append([row(number)])
    print(number, flush=True)
"""


def kill(name: str, home: Path, times: int) -> dict[str, int]:
    """Acknowledged rows that are gone after a writer was killed."""
    gone = acknowledged = 0
    for turn in range(times):
        place = home / f"kill-{turn}"
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, name, str(place)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(20 + 7 * turn)]
        writer.kill()
        said += writer.stdout.read().split("\n")[:-1]
        writer.wait()
        numbers = [int(each) for each in said if each.strip()]
        found, _ = KINDS[name].read(place)
        acknowledged += len(numbers)
        gone += sum(row(number)["point"] not in found for number in numbers)
    return {"acknowledged": acknowledged, "gone": gone}


def appends(kind: Any, home: Path) -> dict[str, float]:
    """Milliseconds of an append, and bytes a row."""
    store = kind(home / "speed")
    rows = [row(number) for number in range(600)]

    def timed(work: Callable[[], None]) -> float:
        start = time.perf_counter()
        work()
        return 1000 * (time.perf_counter() - start)

    store.append(rows[:1])
    one = [timed(lambda each=each: store.append([each])) for each in rows[1:100]]
    many = [timed(lambda at=at: store.append(rows[at : at + 100])) for at in range(100, 600, 100)]
    store.close()
    size = sum(each.stat().st_size for each in (home / "speed").iterdir())
    return {
        "one_ms": round(statistics.median(one), 3),
        "hundred_ms": round(statistics.median(many), 3),
        "bytes_a_row": round(size / 600),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--step", type=int, default=7)
    parser.add_argument("--kills", type=int, default=5)
    given = parser.parse_args()
    found: dict[str, Any] = {}
    for name, kind in KINDS.items():
        with tempfile.TemporaryDirectory() as place:
            home = Path(place)
            found[name] = {
                "damage": damage(kind, home, given.rows, given.step),
                "kill": kill(name, home, given.kills),
                "append": appends(kind, home),
            }
    print(json.dumps({"benchmark": "sqlite_store", **found}))


if __name__ == "__main__":
    main()
