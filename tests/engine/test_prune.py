"""Pruning as recipes say it: one canonical form, points of before keep their ids, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import engine
from engine.errors import BadInput
from engine.recipe import Names, Recipe, point_id, read_recipe, recipe_from_dict, resolve

assert engine.merging and engine.decoding


class Rows:
    """Objectives whose rows are what their names say."""

    names = ("harm", "loss")

    def digest(self, objective: str, variant: str) -> str:
        return f"{objective}-rows"


NAMES = Names(("helpful", "harmless"), has_target=True, rows=Rows())
MERGE = {"method": "task_arithmetic", "coefficients": {"helpful": 0.5}}
HARM = {"objective": "harm", "ratio": 0.1}


def resolved(prune: Any, method: str = "task_arithmetic", names: Names = NAMES) -> Recipe:
    return resolve(recipe_from_dict({**MERGE, "method": method, "prune": prune}), names)


@pytest.mark.parametrize(
    ("recipe", "point"),
    [
        (Recipe("task_arithmetic", {"helpful": 0.5}, {"strength": 0.7}), "c3523d641d67"),
        (Recipe("pcb", {"harmless": 1.0}, {"ratio": 0.25}), "e25120805e2d"),
        (Recipe("logit_fusion", {"base": 1, "helpful": 2}), "98321ca38d91"),
        (Recipe("single", {}, {"model": "target"}), "54821cd05f19"),
    ],
)
def test_recipes_that_do_not_prune_keep_their_ids(recipe: Recipe, point: str) -> None:
    assert point_id(resolve(recipe, NAMES), "f" * 64) == point
    assert "prune" not in recipe.as_dict()


def test_a_resolved_recipe_says_which_rows_it_means() -> None:
    recipe = resolved(HARM)
    said = {"objective": "harm", "ratio": 0.1, "variant": "activation", "rows": "harm-rows"}
    assert recipe.as_dict()["prune"] == said
    assert resolve(recipe, NAMES) == recipe and resolve(recipe, NAMES).key == recipe.key
    assert str(recipe) == "task_arithmetic(helpful 0.5), pruned 0.1 on harm"


def test_it_is_written_and_read_again(tmp_path: Path) -> None:
    for recipe in (recipe_from_dict({**MERGE, "prune": HARM}), resolved(HARM)):
        file = tmp_path / "recipe.yaml"
        file.write_text(recipe.to_yaml(), encoding="utf-8")
        assert read_recipe(file) == recipe


def test_every_part_of_it_makes_another_point() -> None:
    every = [
        resolve(Recipe("task_arithmetic", {"helpful": 0.5}), NAMES),
        resolved(HARM),
        resolved({**HARM, "ratio": 0.2}),
        resolved({**HARM, "variant": "gradient"}),
        resolved({**HARM, "objective": "loss"}),
    ]
    assert len({point_id(each, "f") for each in every}) == len(set(every)) == len(every)


def test_other_rows_make_another_point_and_are_refused_where_the_recipe_says_which() -> None:
    class Others(Rows):
        def digest(self, objective: str, variant: str) -> str:
            return "others"

    changed = Names(NAMES.experts, True, rows=Others())
    before, after = resolved(HARM), resolved(HARM, names=changed)
    assert point_id(before, "f") != point_id(after, "f")
    with pytest.raises(
        BadInput, match="rows of harm have changed since, or what they reach: they were harm-rows"
    ):
        resolve(before, changed)


def test_a_ratio_of_zero_is_no_pruning() -> None:
    assert resolved({**HARM, "ratio": 0}) == resolve(recipe_from_dict(MERGE), NAMES)
    with pytest.raises(BadInput, match="objective"):
        resolved({"objective": "nobody", "ratio": 0})


@pytest.mark.parametrize(
    ("prune", "said"),
    [
        ("harm", "expected a mapping"),
        ({"objective": "harm"}, "'ratio' is missing"),
        ({"ratio": 0.1}, "'objective' is missing"),
        ({**HARM, "ratio": 1}, "from 0 to below 1"),
        ({**HARM, "ratio": "0.1"}, "from 0 to below 1"),
        ({**HARM, "ratio": float("nan")}, "from 0 to below 1"),
        ({**HARM, "ratio": True}, "from 0 to below 1"),
        ({**HARM, "objective": 3}, "expected a name"),
        ({**HARM, "objective": "har"}, "harm"),
        ({**HARM, "variant": "wanda"}, "activation, gradient"),
        ({**HARM, "share": 0.1}, "share"),
    ],
)
def test_refused_by_name(prune: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        resolved(prune)
    assert "prune" in str(refused.value)


def test_what_merges_nothing_is_not_pruned() -> None:
    with pytest.raises(BadInput, match="proxy_tuning runs models as they are"):
        resolved(HARM, "proxy_tuning")
    with pytest.raises(BadInput, match="task_arithmetic with one coefficient 1"):
        resolve(recipe_from_dict({"method": "single", "parameters": {"model": "base"},
                                  "prune": HARM}), NAMES)  # fmt: skip


def test_without_a_study_there_is_no_objective() -> None:
    with pytest.raises(BadInput, match="needs the rows of a study's objective"):
        resolved(HARM, names=Names(NAMES.experts, True))
