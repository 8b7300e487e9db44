"""Twenty points, damaged at every byte: the workspace opens, the rest is intact, the damage named.

Every byte of a journal is damaged and its lines read, every byte of a segment and its checksum
compared. What opens the workspace takes five bytes of each file, all of them with
PARETOSCOPE_EVERY_BYTE=1 (every 4096th of the databases).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from cache.blobs import Blobs
from cache.compaction import compact
from cache.damage import Damaged
from cache.journal import journal_schema
from cache.lines import schema_of
from cache.lines import whole as whole_lines
from cache.mending import mend
from cache.segments import checksum_of, list_segments, twin_of
from cache.store import Store
from cache.tables import to_table
from engine.family.remembering import Memory

EVERY = bool(os.environ.get("PARETOSCOPE_EVERY_BYTE"))
FEW = 5
OBJECTIVES = {"facts": "fp-facts"}
HERE = ("explore", "cpu/float32/1")


def score(number: int) -> dict[str, Any]:
    return {
        "kind": "score", "point": f"p{number:02d}", "family": "fam", "objective": "facts",
        "recipe": {"method": "linear", "coefficients": {"a": number / 20}, "parameters": {}},
        "objective_fingerprint": "fp-facts", "split": HERE[0], "numerics": HERE[1], "n": 2,
        "mean": number / 7, "low": 0.1, "high": 0.9, "values": [0.25, number / 3], "at": 1.0,
    }  # fmt: skip


def seen(store: Store) -> dict[str, Any]:
    found = store.points("fam", OBJECTIVES, *HERE)
    return {each.id: (each.recipe, dict(each.scores)) for each in found}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten points in a segment, ten in a journal; a blob of each kind; a remembered digest."""
    home = tmp_path_factory.mktemp("whole") / "home"
    with Store.open(home) as store:
        store.append(map(score, range(10)))
    compact(home / "journal", home / "segments", least=1)
    with Store.open(home) as store:
        store.append(map(score, range(10, 20)))
        assert len(seen(store)) == 20 and store.damages == ()
    with Blobs(home) as blobs:
        blobs.put_text("text", "answers")
        blobs.put_number("number", 0.5)
    file = home.parent / "weights"
    file.write_bytes(b"weights")
    os.utime(file, (1, 1))
    Memory(home).add({file: "a" * 64})
    return home


def altered(data: bytes, place: int) -> bytes:
    """One byte replaced: by a flipped low or high bit, a newline, or another digit or letter."""
    old = data[place]
    new = (old ^ 1 << place % 7, old ^ 0x80, 0x0A, old ^ 0x03)[place % 4]
    return data[:place] + bytes([new if new != old else old ^ 1]) + data[place + 1 :]


def test_every_byte_of_a_journal(whole: Path) -> None:
    (path,) = (whole / "journal").glob("*.jsonl")
    data = path.read_bytes()
    good = to_table(data, "j", 0, journal_schema(path))[0].drop_columns(["position"]).to_pylist()
    for place in range(len(data)):
        for new in {altered(data, place)[place], 0x0A}:
            if new == data[place]:
                continue
            bad = data[:place] + bytes([new]) + data[place + 1 :]
            schema = schema_of(bad.split(b"\n", 1)[0])
            rows, damaged = to_table(bad[: whole_lines(bad)], "j", 0, schema)
            found = rows.drop_columns(["position"]).to_pylist()
            assert len(damaged) == 1 and damaged[0].start <= place, (place, new)
            assert place < damaged[0].start + len(damaged[0].data), (place, new)
            missing = [each for each in good if each not in found]
            header = place <= data.index(b"\n")
            assert len(missing) == (0 if header or data[place] == 0x0A else 1), (place, new)
            assert len(found) + len(missing) == len(good)


def test_every_byte_of_a_segment(whole: Path, tmp_path: Path) -> None:
    (name,) = list_segments(whole / "segments")
    directory = tmp_path / "segments"
    directory.mkdir()
    data = (whole / "segments" / name).read_bytes()
    segment, twin = directory / name, twin_of(directory / name)
    wanted = checksum_of(name)
    assert crc32(data) == wanted
    assert all(crc32(altered(data, place)) != wanted for place in range(len(data)))
    for place in range(0, len(data), 1 if EVERY else len(data) // 10):
        other = (place * 31 + 17) % len(data)  # both are damaged, and give each other back
        segment.write_bytes(altered(data, place))
        twin.write_bytes(altered(data, other) if place % 2 and other != place else data)
        damaged = Damaged(tmp_path)
        assert mend(segment, damaged)
        assert segment.read_bytes() == data == twin.read_bytes()
        assert any(each.byte == place for each in damaged.all()), place
        shutil.rmtree(tmp_path / "damaged")


def places(whole: Path) -> list[tuple[str, int]]:
    found = []
    for path in sorted(whole.rglob("*")):
        if path.is_file() and (size := path.stat().st_size):
            database = path.suffix in (".duckdb", ".db")
            step = (4096 if database else 1) if EVERY else size // FEW + 1
            found += [(path.relative_to(whole).as_posix(), at) for at in range(0, size, step)]
    return found


@pytest.mark.parametrize("indexed", [True, False])
def test_a_workspace_opens_and_names_what_is_damaged(
    whole: Path, tmp_path: Path, indexed: bool
) -> None:
    with Store.open(shutil.copytree(whole, tmp_path / "good")) as store:
        good = seen(store)
    for number, (name, place) in enumerate(places(whole)):
        if not indexed and name == "index.duckdb":
            continue
        home = shutil.copytree(whole, tmp_path / str(number))
        data = (home / name).read_bytes()
        (home / name).write_bytes(altered(data, place))
        if not indexed:
            (home / "index.duckdb").unlink()
        for _ in range(1 + (number % 3 == 0)):  # found again, it is told once
            with Store.open(home) as store, Blobs(home) as blobs:
                found = seen(store)
                assert blobs.get_text("text") in ("answers", None)
                assert blobs.get_number("number") in (0.5, None)
                assert Memory(home).known in (Memory(whole).known, {})
                damages, where = store.damages, f"{name} byte {place}"
                assert all(good[point] == each for point, each in found.items()), where
                if name.startswith("journal/") and not indexed:
                    assert len(found) >= 19, where
                    told = " ".join(each.held for each in damages)
                    assert all(point in told for point in set(good) - set(found)), where
                else:
                    assert found == good, where
                if not name.startswith(("index", "blobs")):
                    assert [each.file for each in damages] == [name], where
        shutil.rmtree(home)
