"""A point that a race stopped is not exported from the page before all of its rows are scored."""

from __future__ import annotations

import pytest

from engine.errors import BadInput
from engine.recipe import Names, Recipe, resolve
from studio.export.exports import foretell
from studio.sweeps.stopped import STOPPED, name_of
from studio.workbench import Opened, Workbench


def test_a_stopped_point_is_refused_until_it_is_scored_to_the_end(bench: Workbench) -> None:
    prints = {each.name: f"fp-{each.name}" for each in bench.objectives}
    bench.opened = Opened("fam", prints, "cpu")
    recipe = resolve(Recipe("task_arithmetic", {"helpful": 0.5}), Names(("helpful", "terse")))
    point = bench.point_id(recipe)
    name = bench.objectives[0].name
    row = {
        "kind": STOPPED, "id": name_of(point, prints, "cpu"), "point": point,
        "recipe": recipe.as_dict(), "family": "fam", "split": "explore", "numerics": "cpu",
        "fingerprints": prints, "probability": 0.01, "threshold": 0.05,
        "scores": {name: {"mean": 0.5, "stderr": 0.1, "n": 25, "of": 200}},
    }  # fmt: skip
    bench.store.append([row])
    with pytest.raises(BadInput, match=rf"only some of its rows.*{name} 25 of 200"):
        foretell(bench, recipe, adapter=False)
    scored = {
        "kind": "score", "point": point, "recipe": recipe.as_dict(), "family": "fam",
        "split": "explore", "numerics": "cpu", "mean": 0.5, "stderr": 0.1, "n": 200,
    }  # fmt: skip
    bench.store.append(
        [
            scored
            | {"objective": each.name, "scorer": each.scorer}
            | {"objective_fingerprint": prints[each.name]}
            for each in bench.objectives
        ]
    )
    assert foretell(bench, recipe, adapter=False).bytes > 0
