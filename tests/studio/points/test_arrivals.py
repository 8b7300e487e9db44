"""Whatever arrives in whatever order, the columns are those of a fresh look at every point."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine  # noqa: F401  (registers the methods)
from cache.store import Store
from engine.recipe import Names, Recipe, point_id, resolve
from studio.points.arrivals import Arrivals
from studio.points.view import Axis, Measured, measure

NAMES = Names(("helpful", "terse"))
OBJECTIVES = {"facts": "fp-facts", "loss": "fp-loss"}
HERE = ("explore", "cpu/float32/1")
AXES = (Axis("facts", True), Axis("loss", False))


def some(dice: random.Random) -> Recipe:
    """One of few recipes, so that they come again."""
    kind = dice.randrange(4)
    if kind == 0:
        return resolve(Recipe("single", {}, {"model": dice.choice(NAMES.models)}), NAMES)
    c = {name: dice.randrange(1, 4) / 2 for name in NAMES.experts}
    if kind == 1:
        return resolve(Recipe("logit_fusion", c), NAMES)
    return resolve(Recipe("task_arithmetic", c, {"strength": dice.choice([0.5, 1.0])}), NAMES)


def row(recipe: Recipe, dice: random.Random) -> dict[str, Any]:
    common = {
        "point": point_id(recipe, "f"), "recipe": recipe.as_dict(), "family": "f",
        "split": HERE[0], "numerics": HERE[1], "at": float(dice.randrange(30)),
    }  # fmt: skip
    if dice.random() < 0.15:
        return {"kind": "failure", "error": f"failed at {common['at']}", **common}
    name = dice.choice([*OBJECTIVES])
    mean = None if dice.random() < 0.1 else dice.random()
    return {
        "kind": "score", "objective": name, "objective_fingerprint": OBJECTIVES[name],
        "mean": mean, "stderr": dice.choice([None, 0.1]), "n": dice.randrange(1, 9), "low": mean,
        "high": None, **common,
    }  # fmt: skip


def check(found: Measured, fresh: Measured, dice: random.Random) -> None:
    for each in fields(Measured):
        np.testing.assert_equal(getattr(found, each.name), getattr(fresh, each.name), each.name)
    assert found.mean.dtype == fresh.mean.dtype and found.n.dtype == fresh.n.dtype
    assert [*map(found.text, range(len(found)))] == [*map(fresh.text, range(len(fresh)))]
    assert found.row_of == fresh.row_of
    np.testing.assert_equal(found.singles, fresh.singles)
    np.testing.assert_equal(found.front_of(AXES), fresh.front_of(AXES))
    for recipe in (some(dice) for _ in range(4)):
        assert found.nearest(recipe) == fresh.nearest(recipe)
        np.testing.assert_equal(found.like(recipe), fresh.like(recipe))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("seed", range(3))
def test_arrivals_equal_a_fresh_look(store: Store, seed: int) -> None:
    dice, arrivals = random.Random(seed), Arrivals()
    for _ in range(25):
        store.append(row(some(dice), dice) for _ in range(dice.choice([1, 1, 2, 6])))
        found = arrivals.measured(store.columns("f", OBJECTIVES, *HERE))
        fresh = measure(store.points("f", OBJECTIVES, *HERE), tuple(OBJECTIVES))
        check(found, fresh, dice)
        mask = np.array([dice.random() < 0.6 for _ in fresh.ids], dtype=bool)
        check(found.only(mask), fresh.only(mask), dice)


def test_nothing_measured_is_empty_columns(store: Store) -> None:
    found = Arrivals().measured(store.columns("f", OBJECTIVES, *HERE))
    check(found, measure((), tuple(OBJECTIVES)), random.Random(0))


def test_a_recipe_is_read_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals, dice = Arrivals(), random.Random(5)
    first, second = (
        resolve(Recipe("linear", {"base": 1.0, "terse": each}), NAMES) for each in (0.25, 0.5)
    )
    store.append([row(first, random.Random(1))])
    before = arrivals.measured(store.columns("f", OBJECTIVES, *HERE))
    store.append([row(second, dice), row(first, dice)])
    after = arrivals.measured(store.columns("f", OBJECTIVES, *HERE))
    assert after.recipes[after.row_of[before.ids[0]]] is before.recipes[0]
    assert len(before) == 1 and len(after) == 2
