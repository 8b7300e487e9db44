"""Workspaces of the first build, whose journals, segments and index have no checksums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.compaction import compact
from cache.segments import METADATA, checksum_of, list_segments
from cache.store import Store
from cache.tables import columns

HERE = ("explore", "cpu/float32/1")
NAME = "00000000000000000001-1-00000000"


def packed(number: int) -> dict[str, Any]:
    return {
        "kind": "score", "id": f"id{number}", "point": f"p{number}", "family": "fam",
        "objective": "facts", "objective_fingerprint": "o", "split": HERE[0], "numerics": HERE[1],
        "n": 2, "mean": number / 8, "at": float(number),
        "recipe": json.dumps({"method": "linear", "coefficients": {"a": number}}),
        "values": [0.5, 0.25],
    }  # fmt: skip


def write_journal(home: Path, *numbers: int) -> tuple[Path, list[int]]:
    """A journal of the first schema; the byte after each line."""
    (home / "journal").mkdir(parents=True)
    path = home / "journal" / f"{NAME}.jsonl"
    lines = [{"kind": "journal", "schema": 1, "pid": 1, "at": 1.0}, *map(packed, numbers)]
    texts = [json.dumps(each, separators=(",", ":")) + "\n" for each in lines]
    path.write_text("".join(texts))
    ends = [sum(map(len, texts[: count + 1])) for count in range(len(texts))]
    return path, ends


def means(home: Path) -> dict[str, float]:
    with Store.open(home) as store:
        found = store.points("fam", {"facts": "o"}, *HERE)
    return {each.id: each.scores["facts"]["mean"] for each in found}


def test_a_journal_is_read_and_compaction_adds_checksums(tmp_path: Path) -> None:
    write_journal(tmp_path, 1, 2)
    assert means(tmp_path) == {"p1": 1 / 8, "p2": 2 / 8}
    compact(tmp_path / "journal", tmp_path / "segments", least=1)
    (name,) = list_segments(tmp_path / "segments")
    assert checksum_of(name) is not None
    (tmp_path / "index.duckdb").unlink()
    assert means(tmp_path) == {"p1": 1 / 8, "p2": 2 / 8}


@pytest.mark.parametrize("indexed", [True, False])
def test_a_high_bit_or_a_broken_recipe_costs_its_row_alone(tmp_path: Path, indexed: bool) -> None:
    path, _ = write_journal(tmp_path, 1, 2, 3)
    if indexed:
        assert len(means(tmp_path)) == 3
    data = path.read_bytes()
    second = data.index(b"p2")
    at, brace = data.index(b"linear", second), data.index(b'{\\"method', data.index(b"p3"))
    bad = bytearray(data)
    bad[at] ^= 0x80
    bad[brace] = ord("x")
    path.write_bytes(bad)
    assert set(means(tmp_path)) == ({"p1", "p2", "p3"} if indexed else {"p1"})
    with Store.open(tmp_path) as store:
        damages = store.damages
    assert [each.line for each in damages] == [3, 4]
    assert "point p2, mean 0.25" in damages[0].held and "point p3" in damages[1].held
    compact(tmp_path / "journal", tmp_path / "segments", least=1)
    assert not path.exists()
    assert set(means(tmp_path)) == ({"p1", "p2", "p3"} if indexed else {"p1"})


def test_an_unsealed_segment_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    rows = [{**packed(number), "source": NAME, "position": number} for number in (1, 2)]
    table = pa.Table.from_pylist(rows, columns()).drop_columns(["sequence"])
    metadata = json.dumps({"schema": 1, "sources": {NAME: 2}})
    pq.write_table(
        table.replace_schema_metadata({METADATA: metadata}),
        tmp_path / "segments" / "00000000000000000001-0123abcd.parquet",
    )
    assert means(tmp_path) == {"p1": 1 / 8, "p2": 2 / 8}
    (name,) = list_segments(tmp_path / "segments")
    assert checksum_of(name) is not None
    assert (tmp_path / "segments" / f"{name}.twin").exists()
    assert means(tmp_path) == {"p1": 1 / 8, "p2": 2 / 8}


def test_rows_that_an_index_of_the_first_schema_alone_holds_are_saved(tmp_path: Path) -> None:
    path, ends = write_journal(tmp_path, 1, 2)
    path.unlink()
    rows = pa.Table.from_pylist(
        [
            {**packed(number), "source": NAME, "position": end}
            for number, end in zip((1, 2), ends[1:], strict=True)
        ],
        columns(),
    ).drop_columns(["sequence"])
    with duckdb.connect(str(tmp_path / "index.duckdb")) as index:
        index.register("found", rows)
        index.execute("CREATE TABLE rows AS SELECT * FROM found")
        index.execute("CREATE TABLE sources AS SELECT ? AS source, ? AS read_to", [NAME, ends[-1]])
        index.execute("CREATE TABLE version AS SELECT 1 AS schema")
    for _ in range(2):
        assert means(tmp_path) == {"p1": 1 / 8, "p2": 2 / 8}
        with Store.open(tmp_path) as store:
            (damage,) = store.damages
        assert "2 rows (points p1, p2)" in damage.held and "saved again" in damage.outcome
    (tmp_path / "index.duckdb").unlink()
    assert means(tmp_path) == {"p1": 1 / 8, "p2": 2 / 8}
