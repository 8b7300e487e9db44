"""Examples under several recipes: which differ, in words and as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from cache.blobs import Blobs
from engine.recipe import Recipe, resolve
from engine.scoring.data import Row, read_rows
from studio.compare import slices
from studio.compare.slices import Examples
from studio.workbench import Workbench
from tests.pages import toy

NAN = float("nan")


def examples(
    *values: Sequence[float],
    measured: Sequence[bool] | None = None,
    maximize: bool = True,
    proportion: bool = True,
) -> Examples:
    rows = tuple(Row(n, n + 1, "k", prompt=f"p{n}") for n in range(len(values[0])))
    names = ("helpful", "harmless", "C", "D")[: len(values)]
    there = tuple(measured or [True] * len(values))
    texts: list[tuple[str, ...] | None] = [None] * len(values)
    return Examples(rows, names, np.array(values), there, tuple(texts), maximize, proportion)


def test_how_many_differ_is_said() -> None:
    found = examples([1, 1, 0, 0], [0, 1, 1, 0])
    assert found.differing.tolist() == [True, False, True, False]
    assert found.sentences() == "2 of 4 differ."
    assert examples([1, 0], [1, 0]).sentences() == "0 of 2 differ."


def test_where_less_is_better_a_1_is_wrong() -> None:
    found = examples([1, 0], [0, 0], maximize=False)
    assert found.table([0])["A helpful"] == ["wrong"]


def test_losses_are_better_or_worse_and_nearly_equal_ones_the_same() -> None:
    found = examples([1.0, 2.0, 3.0], [1.0001, 1.5, NAN], maximize=False, proportion=False)
    assert found.differing.tolist() == [False, True, True]
    assert found.sentences() == "2 of 3 differ."
    assert found.better(1, 0).tolist() == [False, True, False]
    assert found.table([0, 2])["B harmless"] == [1.0001, None]


def test_columns_that_are_not_measured_count_for_nothing() -> None:
    found = examples([1, 0], [NAN, NAN], [1, 1], measured=[True, False, True])
    assert found.differing.tolist() == [False, True]
    assert list(found.table([0, 1])) == ["line", "prompt", "A helpful", "C"]
    alone = examples([1, 0], [NAN, NAN], measured=[True, False])
    assert alone.sentences() == "" and not alone.differing.any()


def test_values_and_texts_come_from_the_store(bench: Workbench) -> None:
    objective = bench.objectives[0]
    rows = read_rows(objective, "explore")
    base, helpful, mixed = (
        resolve(each, bench.names)
        for each in (
            Recipe("single", {}, {"model": "base"}),
            Recipe("single", {}, {"model": "helpful"}),
            Recipe("task_arithmetic", {"helpful": 0.3}),
        )
    )
    with Blobs(bench.workspace) as blobs:
        for recipe, values in ((base, [0.0] * len(rows)), (helpful, [1.0, 0.0])):
            row = toy.score_rows(recipe, bench.study)[0]
            assert row["objective"] == objective.name
            name = f"texts/{recipe}"
            blobs.put_text(name, json.dumps([f"say {n}" for n in range(len(values))]))
            bench.store.append([row | {"values": values, "n": len(values), "texts": name}])
        found = slices.load(bench, objective, [base, helpful, mixed], blobs)
    assert found.measured == (True, False, False), "values of other data, or none, are left out"
    assert found.values[0].tolist() == [0.0] * len(rows)
    assert found.names == ("base", "helpful", "C")
    table = found.table([1])
    assert table["line"] == [rows[1].line] and table["prompt"] == [rows[1].prompt]
    assert table["A base"] == ["wrong"] and table["A base answer"] == ["say 1"]
