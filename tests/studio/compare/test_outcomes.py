"""What became of rows: by hand, against a plain count of the demo, and on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import engine.decoding
import engine.merging  # noqa: F401  registers what the recipes name
from cache.blobs import Blobs
from engine.commands.report import REPORTS
from engine.demo.write import demo_in
from engine.recipe import Names, Recipe, resolve
from engine.scoring.data import read_rows
from studio.compare import slices
from studio.compare.filters import filters
from studio.compare.outcomes import Outcomes, became, outcomes, parents_of
from studio.workbench import Workbench
from tests import headless
from tests.pages import toy

NAN = float("nan")
NAMES = Names(("helpful", "harmless"), has_target=True, layers=4)


def test_kept_lost_won_and_failed_by_hand() -> None:
    own = np.array([1, 0, 1, 0, 1, NAN])
    parents = np.array([[1, 0, 0, 0, 0, 1], [0, 1, 0, 0, NAN, 1]])
    found = became(own, parents, ("base", "helpful"))
    assert found is not None
    assert {kind: rows.tolist() for kind, rows in found.rows.items()} == {
        "kept": [0], "lost": [1], "won": [2], "failed": [3],
    }  # fmt: skip
    # the two that changed, +1 and −1, among four rows
    assert found.n == 4 and found.net == 0.0
    assert found.stderr == pytest.approx(np.std([0, -1, 1, 0], ddof=1) / 2)
    turned = became(own, parents, ("base", "helpful"), maximize=False)
    assert turned is not None and turned.counts == {"kept": 2, "lost": 2, "won": 0, "failed": 0}
    assert became(np.array([NAN]), np.array([[1.0]]), ("base",)) is None


@pytest.mark.parametrize(
    ("recipe", "parents"),
    [
        (Recipe("task_arithmetic", {"helpful": 0.3}), ("base", "helpful")),
        (Recipe("linear", {"helpful": 1.0, "base": 1.0}), ("base", "helpful")),
        (Recipe("task_arithmetic", {"harmless@2": 0.3}, {"groups": 2}), ("base", "harmless")),
        (Recipe("proxy_tuning", {"helpful": 0.5}), ("target", "helpful", "base")),
        (Recipe("single", {}, {"model": "helpful"}), ()),
    ],
)
def test_parents_are_the_models_that_are_mixed(recipe: Recipe, parents: tuple[str, ...]) -> None:
    assert sorted(parents_of(resolve(recipe, NAMES), NAMES)) == sorted(parents)


def test_rows_of_the_demo_are_those_of_a_plain_count(tmp_path: Path) -> None:
    study, point = demo_in(tmp_path / "w"), "a097b7100057"
    words = ("--point", point, "--device", "cpu")
    ran = headless.run(tmp_path / "w", "rows", study, *words)
    [found] = ran.document["points"]
    assert found["parents"] == ["base", "helpful", "harmless", "honest"]
    told = found["objectives"]
    assert "not right or wrong" in told["fluency"]["reason"]
    for name in ("facts", "refusals", "over_refusal"):
        each = told[name]
        kinds = ("kept", "lost", "won", "failed")
        assert sum(each[kind] for kind in kinds) == each["n"] > 100
        assert each["net"] == pytest.approx((each["won"] - each["lost"]) / each["n"])
        assert all(len(each["lines"][kind]) == each[kind] for kind in kinds)
        assert len({line for kind in kinds for line in each["lines"][kind]}) == each["n"]
    text = REPORTS["rows"](ran.document)
    assert "kept" in text and "±" in text and point in text


def test_compare_filters_by_what_became_of_rows(bench: Workbench) -> None:
    objective = bench.objectives[0]
    base, helpful, mixed = (
        resolve(each, bench.names)
        for each in (
            Recipe("single", {}, {"model": "base"}),
            Recipe("single", {}, {"model": "helpful"}),
            Recipe("task_arithmetic", {"helpful": 0.3}),
        )
    )
    assert outcomes(bench, mixed, [objective])[objective.name] == (
        "not measured: it, base, helpful"
    )
    more = len(read_rows(objective, "explore")) - 2
    values = ((base, [0.0, 0.0]), (helpful, [1.0, 0.0]), (mixed, [0.0, 1.0]))
    for recipe, each in values:
        row = toy.score_rows(recipe, bench.study)[0]
        bench.store.append([row | {"values": [*each, *[0.0] * more], "n": 2 + more}])
    with Blobs(bench.workspace) as blobs:
        found = slices.load(bench, objective, [mixed, base], blobs)
    assert isinstance(found.outcomes[0], Outcomes) and list(found.outcomes) == [0]
    shown = {each.label: each.rows.tolist() for each in filters(found)}
    assert shown["A lost: wrong, where a parent is right"] == [0]
    assert shown["A won: right, where every parent is wrong"] == [1]
    assert shown["A kept: right, as a parent is"] == []
