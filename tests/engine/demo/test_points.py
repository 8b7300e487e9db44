"""The shipped points are what is measured here too, and get into a workspace whole and once."""

from __future__ import annotations

import errno
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.journal import NotSaved
from cache.segments import read_segment
from cache.store import Store
from engine.compose import Composer
from engine.demo import demo_in, write
from engine.demo.points import collect, recipes
from engine.demo.write import FAMILY, POINTS
from engine.errors import BadInput
from engine.family.compatibility import open_family
from engine.family.fingerprint import family_fingerprint
from engine.recipe import Recipe, point_id, recipe_from_dict, resolve
from engine.scoring.evaluate import evaluate
from engine.scoring.intervals import with_interval
from engine.scoring.objectives import objective_fingerprint, prepare
from engine.study import load_study

STUDY = load_study(FAMILY / "study.yaml")
OBJECTIVES = prepare(STUDY)
OBJECTIVE_NAMES = tuple(each.name for each in OBJECTIVES)
RECIPES = recipes(STUDY)


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(open_family(STUDY.family), device="cpu", compute_dtype="float32")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return read_segment(POINTS, {}).to_pylist()


@pytest.fixture(scope="module")
def keys(composer: Composer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the scores of this program on the shipped family are keyed by."""
    tokenizer = composer.family.tokenizer.hash
    return {
        "family": family_fingerprint(composer.family, tmp_path_factory.mktemp("digests")),
        "objectives": {each.name: objective_fingerprint(each, tokenizer) for each in OBJECTIVES},
        "numerics": str(composer.numerics),
    }


def points(store: Store, keys: dict[str, Any]) -> list[Any]:
    return store.points(keys["family"], keys["objectives"], "explore", keys["numerics"])


def test_they_are_small_and_keyed_as_this_program_keys_its_own(
    rows: list[dict[str, Any]], keys: dict[str, Any]
) -> None:
    assert POINTS.stat().st_size <= 600_000
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["family"] for row in rows} == {keys["family"]}
    assert {row["numerics"] for row in rows} == {keys["numerics"]}
    assert {(row["objective"], row["objective_fingerprint"]) for row in rows} == set(
        keys["objectives"].items()
    )
    assert {row["texts"] for row in rows} == {None}
    for row in rows:
        recipe = recipe_from_dict(json.loads(row["recipe"]))
        assert recipe == resolve(recipe, STUDY.family.names)
        assert row["point"] == point_id(recipe, keys["family"])


def test_every_point_has_every_objective(rows: list[dict[str, Any]]) -> None:
    whole = Counter(row["point"] for row in rows)
    assert set(whole.values()) == {len(OBJECTIVES)}
    found = {row["point"]: recipe_from_dict(json.loads(row["recipe"])) for row in rows}
    assert set(found.values()) == set(RECIPES) and len(found) == len(RECIPES)


@pytest.mark.parametrize(
    ("method", "names"),
    [("task_arithmetic", {*OBJECTIVE_NAMES}), ("logit_fusion", {"honesty", "fluency", "cost"})],
)
def test_a_point_measured_here_is_the_one_shipped(
    composer: Composer, rows: list[dict[str, Any]], method: str, names: set[str]
) -> None:
    found = {row["point"]: recipe_from_dict(json.loads(row["recipe"])) for row in rows}
    point = [point for point, recipe in found.items() if recipe.method == method][7]
    shipped = {row["objective"]: row for row in rows if row["point"] == point}
    objectives = [each for each in OBJECTIVES if each.name in names]
    model = composer.compose(found[point])
    scores = {
        objective.name: score
        for objective, score, _ in evaluate(
            model, objectives, "explore", base=lambda: composer.module("base")
        )
    }
    for objective in objectives:
        row, score = shipped[objective.name], scores[objective.name]
        close = 1e-5 if objective.scorer == "nll" else 0.0
        np.testing.assert_allclose(row["values"], score.values, rtol=0, atol=close)
        # the interval is worked out where a row is read
        row = with_interval(objective.scorer, row)
        for name, value in score.as_dict().items():
            assert row[name] == (value if value is None else pytest.approx(value, abs=close))


def test_a_workspace_gets_demo_and_points_once(tmp_path: Path, keys: dict[str, Any]) -> None:
    home = tmp_path / "home"
    with Store.open(home) as store:
        assert points(store, keys) == []
        study = demo_in(home)
        store.refresh()
        found = points(store, keys)
        assert len(found) == len(RECIPES)
        assert all(set(each.scores) == set(keys["objectives"]) for each in found)
        assert study == home / "demo/study.yaml" and load_study(study).name == "demo"
        [segment] = (home / "segments").glob("*.parquet")
        before = segment.stat().st_ino
        (study.parent / "study.yaml").unlink()
        with pytest.raises(BadInput, match="not empty"):  # what is there may be somebody's own
            demo_in(home)
        for name in [*study.parent.rglob("*")][::-1]:
            name.rmdir() if name.is_dir() else name.unlink()
        demo_in(home)
        assert demo_in(home) == study
        assert not store.refresh() and points(store, keys) == found
        assert [each.stat().st_ino for each in (home / "segments").glob("*.parquet")] == [before]
    assert not [each for each in home.iterdir() if each.name.startswith(".demo-")]


def test_what_is_measured_here_is_told_from_what_was_shipped(
    tmp_path: Path, keys: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    demo_in(tmp_path)
    recipe = resolve(Recipe("task_arithmetic", {"helpful": 0.625}), STUDY.family.names)
    own = {**rows[0], "point": point_id(recipe, keys["family"]), "recipe": recipe.as_dict()}
    own = {
        name: each
        for name, each in own.items()
        if name not in ("id", "versions", "source", "position")
    }
    with Store.open(tmp_path) as store:
        asked = keys["family"], keys["objectives"], "explore", keys["numerics"]
        found = store.columns(*asked)
        assert found.shipped.all() and len(found)
        store.append([own])
        found = store.columns(*asked)
        assert not found.shipped[found.ids == own["point"]].any()
        assert found.shipped[found.ids != own["point"]].all()
        assert found.shipped.shape == found.scored.shape


def test_several_may_come_first(tmp_path: Path, keys: dict[str, Any]) -> None:
    home, found = tmp_path / "home", []
    ready = threading.Barrier(4)

    def come() -> None:
        ready.wait()
        found.append(demo_in(home))

    threads = [threading.Thread(target=come) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [home / "demo/study.yaml"] * 4
    assert {each.name for each in home.iterdir()} == {"demo", "segments"}
    with Store.open(home) as store:
        assert len(points(store, keys)) == len(RECIPES)


def test_a_full_disk_leaves_nothing_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(out: Path) -> None:
        (out / "study.yaml").write_text("study: demo")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(write, "write_demo", full)
    with pytest.raises(NotSaved, match="the disk is full"):
        demo_in(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["segments"]
    monkeypatch.undo()
    assert demo_in(tmp_path).exists()


def test_points_are_collected_from_a_workspace(tmp_path: Path) -> None:
    """Scores alone, without their texts, in the order measured."""
    recipe = Recipe("linear", {"base": 1.0, "a": 0.5}).as_dict()
    common = {"point": "p", "recipe": recipe, "family": "f", "split": "explore", "numerics": "n"}
    score = {"kind": "score", "objective": "o", "objective_fingerprint": "o", "texts": "texts/1",
             "values": [1.0, 0.0], "mean": 0.5, "n": 2, **common}  # fmt: skip
    with Store.open(tmp_path / "home") as store:
        store.append([{"kind": "failure", "error": "no", **common}])
        store.append([score | {"point": "q", "at": 2.0}, score | {"at": 1.0}])
    assert collect(tmp_path / "home", tmp_path / "out.parquet") == 2
    found = read_segment(tmp_path / "out.parquet", {}).to_pylist()
    assert [(row["point"], row["position"], row["texts"]) for row in found] == [
        ("p", 1, None), ("q", 2, None),
    ]  # fmt: skip
    assert found[0]["values"] == [1.0, 0.0] and found[0]["source"].startswith("demo-")
    assert read_segment(tmp_path / "out.parquet", {found[0]["source"]: 1}).num_rows == 1
