"""The join beside a plain one: every row in a Python loop, the newest of each kept."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache import joining
from cache.columns import join
from cache.earlier import earlier
from cache.lines import SCHEMA
from cache.store import Store

PRINTS = {"facts": "fp-facts", "style": "fp-style", "again": "fp-facts"}
OLD = {"fp-facts": "fp-facts-old", "fp-style": "fp-style-old"}
FAMILIES, SPLITS, NUMERICS = ("fam", "other"), ("explore", "report"), ("cpu/1", "cuda/1")
REASON = "the perplexity is beyond a float"


def random_rows(dice: random.Random, count: int) -> list[dict[str, Any]]:
    """Rows of few points, so that most are there several times, of every kind there is."""
    rows = []
    for _ in range(count):
        point, name = f"p{dice.randrange(60)}", dice.choice(["facts", "style"])
        print_ = PRINTS[name] if dice.random() < 0.8 else OLD[PRINTS[name]]
        row: dict[str, Any] = {
            "point": point,
            "family": "other" if dice.random() < 0.1 else "fam",
            "split": "report" if dice.random() < 0.1 else "explore",
            "numerics": "cuda/1" if dice.random() < 0.1 else "cpu/1",
            "at": float(dice.randrange(25)),  # a clock that goes back and forth, and often ties
        }
        if dice.random() < 0.9:
            row["recipe"] = {"of": point}
        kind = dice.random()
        if kind < 0.1:
            rows.append({"kind": "failure", "error": dice.choice(["no memory", "killed"]), **row})
        elif kind < 0.15:
            rows.append({"kind": "vote", **row})
        else:
            value = None if dice.random() < 0.1 else dice.random()
            numbers = {"mean": value, "stderr": None, "low": 0.1, "high": value, "n": 3}
            error = {"error": REASON} if value is None and dice.random() < 0.8 else {}
            rows.append(
                {
                    "kind": "score", "objective": name, "objective_fingerprint": print_,
                    "scorer": "nll", "seconds": dice.choice([None, 1.5]),
                    "values": [dice.random()] * dice.randrange(4), **numbers, **error, **row,
                }
            )  # fmt: skip
    return rows


def newest(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["sequence"] or -1, row["at"], row["source"], row["position"])


def plain(
    lines: list[dict[str, Any]], family: str, split: str, numerics: str
) -> dict[str, dict[str, Any]]:
    """Point id -> what the join should say of it."""
    here = (family, split, numerics)
    mine = [row for row in lines if (row["family"], row["split"], row["numerics"]) == here]
    points: dict[str, dict[str, Any]] = {}
    for row in mine:
        if row["kind"] in ("score", "failure"):
            points.setdefault(row["point"], {"rows": []})["rows"].append(row)
    for name, point in points.items():
        scores = sorted((r for r in point["rows"] if r["kind"] == "score"), key=newest)
        failures = sorted((r for r in point["rows"] if r["kind"] == "failure"), key=newest)
        now = {r["objective_fingerprint"]: r for r in scores}
        point["scores"] = {each: now[fp] for each, fp in PRINTS.items() if fp in now}
        point["at"] = min(r["at"] for r in point["rows"])
        current = {id(r): r for r in point["scores"].values()}
        point["seconds"] = sum(r["seconds"] or 0.0 for r in current.values())
        recipes = [r["recipe"] for r in lines if r["point"] == name and r["recipe"]]
        point["recipe"] = json.loads(recipes[0]) if recipes else {}
        wrong = [f"{each}: {r['error']}" for each, r in point["scores"].items() if r["error"]]
        point["error"] = "; ".join(wrong) or None
        if failures and (not scores or newest(failures[-1])[:2] >= newest(scores[-1])[:2]):
            point["error"] = failures[-1]["error"]
            point["failed"] = True
    return {name: each for name, each in points.items() if each["scores"] or "failed" in each}


@pytest.fixture(params=["numbered", "of earlier builds"])
def full(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A workspace that two writers filled; the ranges that are scanned are short."""
    monkeypatch.setattr(joining, "RANGE", 16)
    dice = random.Random(7)
    with Store.open(tmp_path) as one, Store.open(tmp_path) as two:
        for _ in range(40):
            dice.choice([one, two]).append(random_rows(dice, dice.randrange(1, 30)))
    if request.param != "numbered":
        for path in (tmp_path / "journal").iterdir():
            lines = [json.loads(line) for line in path.read_bytes().splitlines()]
            for line in lines:
                line.pop("crc"), line.pop("sequence", None)
            assert lines[0]["schema"] == SCHEMA
            lines[0]["schema"] = 1
            path.write_text(
                "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
            )
        (tmp_path / "index.duckdb").unlink()
    with Store.open(tmp_path) as store:
        yield store


def lines_of(store: Store) -> list[dict[str, Any]]:
    found = store._follower.query("SELECT * FROM rows ORDER BY place", [])
    return [dict(zip(found, cells, strict=True)) for cells in zip(*found.values(), strict=True)]


def test_points_are_those_of_a_plain_join(full: Store) -> None:
    lines = lines_of(full)
    assert len(lines) > 400
    for family in FAMILIES:
        for split in SPLITS:
            for numerics in NUMERICS:
                wanted = plain(lines, family, split, numerics)
                found = full.points(family, PRINTS, split, numerics)
                assert [each.id for each in found] == sorted(
                    wanted, key=lambda name: (wanted[name]["at"], name)
                )
                for point in found:
                    same = wanted[point.id]
                    assert point.scores == {
                        name: {each: row[each] for each in ("mean", "stderr", "low", "high", "n")}
                        for name, row in same["scores"].items()
                    }
                    assert (point.error, point.at) == (same["error"], same["at"])
                    assert point.recipe == same["recipe"]
                    assert point.seconds == (same["seconds"] if same["scores"] else None)
                some = [each.id for each in found[::3]]
                asked = full.points(family, PRINTS, split, numerics, [*some, "never"])
                assert asked == [each for each in found if each.id in some]


def test_a_score_is_shipped_where_its_newest_row_came_with_the_program(
    full: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_of(full)
    source = min(row["source"] for row in lines)
    before = full.columns("fam", PRINTS, "explore", "cpu/1")
    assert not before.shipped.any()
    monkeypatch.setattr(joining, "SHIPPED", source)
    found = join(full._follower._index, "fam", PRINTS, "explore", "cpu/1")
    wanted = plain(lines, "fam", "explore", "cpu/1")
    assert found.shipped.tolist() == [
        [
            name in (scores := wanted[point]["scores"]) and scores[name]["source"] == source
            for name in PRINTS
        ]
        for point in found.ids
    ]
    assert found.shipped.any() and not found.shipped[found.scored].all()
    some = found.ids[::2].tolist()
    assert before.updated(
        join(full._follower._index, "fam", PRINTS, "explore", "cpu/1", some), some
    ).shipped.tolist() == [
        [bool(each) and point in some for each in row]
        for point, row in zip(found.ids, found.shipped, strict=True)
    ]


def test_a_value_that_does_not_exist_is_there_with_its_reason(full: Store) -> None:
    columns = full.columns("fam", PRINTS, "explore", "cpu/1")
    nothing = columns.scored & ~np.isfinite(columns.table[0])
    assert nothing.any()
    told = [columns.errors.get(name, "") for name in columns.ids[nothing[:, 0]]]
    assert any(f"facts: {REASON}" in each and f"again: {REASON}" in each for each in told)


def test_rows_and_earlier_scores_are_those_of_a_plain_search(full: Store) -> None:
    lines = lines_of(full)
    rows = full.scores("fam", objectives=PRINTS, numerics="cpu/1")
    wanted: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(lines, key=newest):
        here = (row["kind"], row["family"], row["split"], row["numerics"])
        if here == ("score", "fam", "explore", "cpu/1"):
            wanted[row["point"], row["objective_fingerprint"]] = row
    kept = [row for (_, print_), row in wanted.items() if print_ in PRINTS.values()]
    kept.sort(key=newest)
    assert [row["id"] for row in rows] == [row["id"] for row in kept]
    assert [row["values"] for row in rows] == [list(row["values"]) for row in kept]
    found = earlier(full._follower._index, "fam", PRINTS, "explore", "cpu/1")
    for name, print_ in PRINTS.items():
        ever = {point for point, each in wanted if each == OLD[print_]}
        now = {point for point, each in wanted if each == print_}
        if name != "again":  # no row bears that name
            assert set(found.get(name, ())) == ever - now


def test_a_join_is_of_one_moment(full: Store) -> None:
    index = full._follower._index
    with index.snapshot():
        before = index.arrays("SELECT count(*) AS n FROM lines")["n"][0]
        full.append([{"kind": "vote", "family": "fam"}])
        full.refresh()
        assert index.arrays("SELECT count(*) AS n FROM lines")["n"][0] == before
    assert index.arrays("SELECT count(*) AS n FROM lines")["n"][0] == before + 1
    assert len(join(index, "fam", PRINTS, "explore", "cpu/1")) > 0
