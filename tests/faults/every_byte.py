"""Twenty points, and every byte of their workspace damaged, one after the other.

    python -m tests.faults.every_byte [--every 1] [--processes 2]

After each: the workspace opens, what is read is what was written or is told to be gone, also when
it is packed and read again, and what is damaged is named. One JSON line says what was tried;
exit 1 where something was read altered, or lost without a word.

Each byte of a journal is read without an index and packed then, each eighth beside an index too,
which still holds its row. Each byte of a segment is looked at beside an index (DuckDB is started
once for these, which is most of the time), each 32nd read without. Of the databases, index and
blobs, `STEPS` says which: most of them holds nothing.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from cache.blobs import Blobs
from cache.compaction import compact
from cache.index import CONFIGURATION, FILE_MEMORY
from cache.segments import list_segments, read_segment
from cache.store import Store
from engine.family.remembering import Digests

OBJECTIVES = {"facts": "fp-facts"}
HERE = ("explore", "cpu/float32/1")
TEXT, NUMBER, ARRAY = "answers", 0.5, np.arange(4.0)
HEAD = 3 * 4096
"""Bytes at the beginning of a database that say how the rest is read."""

STEPS = {"index.duckdb": (16, 4096), "blobs/cache.db": (1, 4)}
"""Of a database every so many bytes are damaged, in its head and below."""

Look = Callable[["Workspace", str, int, "Counts"], None]


def score(number: int) -> dict[str, Any]:
    return {
        "kind": "score", "point": f"p{number:02d}", "family": "fam", "objective": "facts",
        "recipe": {"method": "linear", "coefficients": {"a": number / 20}, "parameters": {}},
        "objective_fingerprint": "fp-facts", "split": HERE[0], "numerics": HERE[1], "n": 2,
        "mean": number / 7, "low": 0.1, "high": 0.9, "values": [0.25, number / 3], "at": 1.0,
    }  # fmt: skip


def seen(store: Store) -> dict[str, Any]:
    """Point -> everything that can be read of it."""
    points = {each.id: (each.recipe, dict(each.scores)) for each in
              store.points("fam", OBJECTIVES, *HERE)}  # fmt: skip
    rows = {row["point"]: row for row in store.scores("fam")}
    assert points.keys() == rows.keys()
    return {name: (points[name], rows[name]) for name in points}


def altered(data: bytes, place: int) -> bytes:
    """One byte replaced: by a flipped low or high bit, a newline, or another digit or letter."""
    old = data[place]
    new = (old ^ 1 << place % 7, old ^ 0x80, 0x0A, old ^ 0x03)[place % 4]
    return data[:place] + bytes([new if new != old else old ^ 1]) + data[place + 1 :]


def write_workspace(home: Path) -> None:
    """Ten points in a segment and its twin, five in the journal of one writer, five in another's;
    an index of all; a text, a number and an array; remembered digests."""
    for start, end in ((0, 10), (10, 15), (15, 20)):
        with Store.open(home) as store:
            store.append(map(score, range(start, end)))
        if start == 0:
            compact(home / "journal", home / "segments", least=1)
    with Blobs(home) as blobs:
        blobs.put_text("text", TEXT)
        blobs.put_number("number", NUMBER)
        blobs.put_array("array", ARRAY)
    weights = home.parent / "weights"
    weights.write_bytes(b"weights")
    os.utime(weights, (1, 1))
    Digests(home).add({weights: "a" * 64})


@dataclass
class Counts:
    """What was tried, and what came of it.

    Attributes:
        named: damages that were told.
        harmless: nothing that is read differs, as in the unused parts of a database.
        away: blobs that are not there, as if they had been evicted, without being told.
        failures: what must not be: place and what happened.
    """

    bytes: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    named: int = 0
    harmless: int = 0
    away: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        self.bytes += other.bytes
        self.failures += other.failures
        for name in ("opened", "named", "harmless", "away"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Workspace:
    """A workspace that is damaged in one file at a time, and sound again after each."""

    def __init__(self, home: Path) -> None:
        self.home = home
        write_workspace(home)
        with Store.open(home) as store:
            self.truth = seen(store)
            assert len(self.truth) == 20 and store.damages == ()
        self.known = Digests(home).known
        self.sound = {
            path.relative_to(home).as_posix(): path.read_bytes()
            for path in sorted(home.rglob("*"))
            if path.is_file() and path.name != "index.lock"
        }
        self._held: duckdb.DuckDBPyConnection | None = None

    def hold(self) -> None:
        """Keep DuckDB's database open: every connection to the file is one to it, then."""
        if self._held is None:
            config = {**CONFIGURATION, "memory_limit": FILE_MEMORY}
            self._held = duckdb.connect(str(self.home / "index.duckdb"), config=config)

    def let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def mend(self) -> None:
        """Everything as it was; only what differs is written."""
        for path in sorted(self.home.rglob("*"), reverse=True):
            name = path.relative_to(self.home).as_posix()
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif name not in self.sound and name != "index.lock":
                path.unlink()
        for name, data in self.sound.items():
            path = self.home / name
            if not path.exists() or path.stat().st_size != len(data) or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def without_index(self) -> None:
        for name in ("index.duckdb", "index.duckdb.wal"):
            (self.home / name).unlink(missing_ok=True)

    def compare(self, name: str, byte: int, counts: Counts, most: int = 0) -> bool:
        """Open, and compare all that is there with the truth; whether the damage was told.

        Args:
            byte: where the file is damaged.
            most: how many rows may be gone, which must be told then.
        """
        with Store.open(self.home) as store:
            counts.opened += 1
            found, damages = seen(store), store.damages
        assert all(self.truth[point] == each for point, each in found.items()), "altered"
        told = any(
            each.file == name
            and (each.byte is None or each.byte <= byte < each.byte + max(each.size, 1))
            for each in damages
        )
        gone = self.truth.keys() - found.keys()
        assert len(gone) <= most and (told or not gone), f"gone: {gone}, told: {told}"
        return told

    def places(self) -> Iterator[tuple[str, int]]:
        """Every byte of every file; of databases some."""
        for name, data in self.sound.items():
            head, below = STEPS.get(name, (1, 1))
            for byte in range(len(data)):
                if byte % (head if byte < HEAD else below) == 0:
                    yield name, byte

    def packed(self) -> dict[str, Any]:
        """Point -> what the segments hold of it, read without an index."""
        directory = self.home / "segments"
        tables = [read_segment(directory / each, {}) for each in list_segments(directory)]
        return {row["point"]: row for table in tables for row in table.to_pylist()}


def in_journal(place: Workspace, name: str, byte: int, counts: Counts) -> None:
    if byte % 8 == 5:
        damaged = (place.home / name).read_bytes()
        assert place.compare(name, byte, counts), "not named"
        place.mend()
        (place.home / name).write_bytes(damaged)
    place.without_index()
    counts.named += place.compare(name, byte, counts, most=1)
    compact(place.home / "journal", place.home / "segments", least=1)
    assert not list((place.home / "journal").iterdir()), "a journal was not packed"
    packed = place.packed()
    assert len(place.truth.keys() - packed.keys()) <= 1, "lost when packed"
    for point, row in packed.items():
        for key, cell in place.truth[point][1].items():
            same = row[key] if not isinstance(cell, dict) else json.loads(row[key])
            assert same == cell, f"altered when packed: {key}"


def in_segment(place: Workspace, name: str, byte: int, counts: Counts) -> None:
    if byte % 32 == 0:
        place.let_go()
        place.without_index()
    else:
        place.hold()
    told = place.compare(name, byte, counts)
    assert told, "not named"
    counts.named += told
    files = list((place.home / "segments").iterdir())
    assert len(files) == 2 and {each.read_bytes() for each in files} == {place.sound[name]}


def in_blobs(place: Workspace, name: str, byte: int, counts: Counts) -> None:
    with Blobs(place.home) as blobs:
        counts.opened += 1
        found = blobs.get_text("text"), blobs.get_number("number"), blobs.get_array("array")
        blobs.put_text("another", "text")
    assert found[0] in (TEXT, None) and found[1] in (NUMBER, None), "altered"
    assert found[2] is None or np.array_equal(found[2], ARRAY), "altered"
    told, gone = (place.home / "damaged").exists(), any(each is None for each in found)
    assert told or not gone or name == "blobs/cache.db", "gone, and not named"
    counts.named += told
    counts.away += gone and not told
    counts.harmless += not gone and not told


def in_memory(place: Workspace, name: str, byte: int, counts: Counts) -> None:
    assert Digests(place.home).known == {}, "altered"
    told = place.compare(name, byte, counts)
    assert told, "not named"
    counts.named += told


def in_index(place: Workspace, name: str, byte: int, counts: Counts) -> None:
    place.let_go()
    with Store.open(place.home) as store:
        counts.opened += 1
        assert seen(store) == place.truth, "altered or gone"
        told = any(each.file == name for each in store.damages)
    counts.named += told
    counts.harmless += not told


LOOKS: Sequence[tuple[str, Look]] = (
    ("journal/", in_journal),
    ("segments/", in_segment),
    ("blobs/", in_blobs),
    ("fingerprints.json", in_memory),
    ("index.duckdb", in_index),
)


def damage(root: Path, every: int, share: int = 0, shares: int = 1) -> Counts:
    """Damage each `every`-th byte; of these, each `shares`-th is this process's."""
    counts = Counts()
    place = Workspace(root / "home")
    for number, (name, byte) in enumerate(place.places()):
        if number % every or number // every % shares != share:
            continue
        look = next(look for prefix, look in LOOKS if name.startswith(prefix))
        (place.home / name).write_bytes(altered(place.sound[name], byte))
        try:
            look(place, name, byte, counts)
        except Exception as error:
            counts.failures.append(f"{name} byte {byte}: {type(error).__name__} {error}")
        counts.bytes[name.split("/")[0]] += 1
        place.mend()
    place.let_go()
    return counts


def _share(every: int, share: int, shares: int) -> Counts:
    logging.disable(logging.CRITICAL)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as root:
        return damage(Path(root), every, share, shares)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    start, counts = time.monotonic(), Counts()
    with multiprocessing.get_context("fork").Pool(given.processes) as pool:
        shares = [(given.every, each, given.processes) for each in range(given.processes)]
        for each in pool.starmap(_share, shares):
            counts.add(each)
    for failure in counts.failures[:20]:
        sys.stderr.write(failure + "\n")
    print(json.dumps({
        "bytes": sum(counts.bytes.values()), "in": dict(counts.bytes), "opened": counts.opened,
        "named": counts.named, "harmless": counts.harmless, "blobs_away": counts.away,
        "altered_or_lost": len(counts.failures), "seconds": round(time.monotonic() - start),
    }))  # fmt: skip
    return int(bool(counts.failures))


if __name__ == "__main__":
    sys.exit(main())
