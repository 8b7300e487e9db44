"""What a form says of an objective, and what it lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from engine.errors import BadInput
from engine.family.compatibility import Family, open_family
from engine.scoring.registry import find_scorer
from engine.study import FamilySpec, load_study
from studio import study_editor as adding
from studio.points.view import Axis, Measured
from tests.families import FamilyFiles


def test_an_item_holds_only_what_is_not_the_default() -> None:
    values = {
        "name": " facts ", "scorer": "contains", "data": " d.jsonl ", "ignore_case": False,
        "direction": "maximize", "chat": True, "max_new_tokens": 64, "stop": [], "limit": None,
        "report_fraction": 0.0,
    }  # fmt: skip
    assert adding.document_of(values) == {
        "name": "facts", "data": "d.jsonl", "scorer": "contains", "chat": True,
        "report_fraction": 0.0,
    }  # fmt: skip
    assert adding.document_of({"name": "c", "scorer": "cost", "direction": "maximize"}) == {
        "name": "c", "scorer": "cost", "direction": "maximize",
    }  # fmt: skip
    phrases = adding.document_of(
        {"name": "r", "scorer": "refusal", "data": "d", "phrases": ("no",)}
    )
    assert phrases["phrases"] == ["no"] and yaml.safe_dump(phrases)


def test_stops_are_lines_with_escapes() -> None:
    assert adding.texts_of("\\n\\n\n\n  Q:\n \n") == ["\n\n", "  Q:"]


def test_an_item_comes_back_into_the_form_and_keeps_what_the_form_lacks(tmp_path: Path) -> None:
    texts = ["\n\n", "  Q:"]
    assert adding.texts_of(adding.text_of(texts)) == texts
    path = tmp_path / "study.yaml"
    path.write_text("objectives:\n- {name: my facts, scorer: contains, seed: 3, ignore_case: true}")
    item = adding.item_of(path, "my facts")
    assert item == {"name": "my facts", "scorer": "contains", "seed": 3, "ignore_case": True}
    assert adding.item_of(path, "other") == {}
    assert adding.kept_of(item, find_scorer("contains")) == {"seed": 3}
    assert adding.kept_of(item, find_scorer("regex")) == {"seed": 3}
    assert adding.kept_of(item, find_scorer("cost")) == {}


def test_each_scorer_says_what_it_does_needs_and_comes_from() -> None:
    assert adding.scorers()[0] == "exact_match" and adding.scorers()[-1] == "cost"
    for name in adding.scorers():
        text = adding.scorer_text(name)
        assert text.startswith(f"{name}: ") and "Source: " in text and "It reads " in text


@pytest.fixture(scope="module")
def opened(family: FamilyFiles) -> Family:
    return open_family(FamilySpec(family.base, {"terse": family.experts["terse"]}))


def test_a_document_is_checked_with_its_data(family: FamilyFiles, opened: Family) -> None:
    study = load_study(family.study("terse", name="adding"))
    item = {"name": "new", "scorer": "contains", "data": "data/contains.jsonl", "limit": 7}
    objective, counted = adding.check_document(item, study, opened)
    assert objective.direction == "maximize" and counted.explore == 7 and counted.report > 0
    assert "7 examples to explore with" in str(counted)
    _, none = adding.check_document({"name": "c", "scorer": "cost"}, study, opened)
    assert str(none) == "It needs no data."


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"name": "exact"}, "an objective of this name"),
        ({"data": ""}, "needs data"),
        ({"data": "data/choice.jsonl"}, "neither target nor targets"),
        ({"scorer": "regex", "pattern": "("}, "not a regular expression"),
        ({"report_fraction": 1.0}, "in the explore split"),
    ],
)
def test_every_problem_of_a_document_is_said(
    family: FamilyFiles, opened: Family, change: dict[str, Any], what: str
) -> None:
    study = load_study(family.study("terse", name="adding"))
    item = {"name": "new", "scorer": "contains", "data": "data/contains.jsonl"} | change
    with pytest.raises(BadInput, match=what):
        adding.check_document(item, study, opened)


def measured(mean: list[list[float]], singles: list[bool]) -> Measured:
    from engine.recipe import Recipe

    recipes = tuple(Recipe("single" if each else "task_arithmetic") for each in singles)
    ids = tuple(map(str, range(len(mean))))
    return Measured(("f", "g", "new"), ids, recipes, np.array(mean))


def test_points_that_lack_a_score_and_those_of_them_on_the_front() -> None:
    nan = float("nan")
    found = measured(
        [[1, 0, nan], [0, 1, 5], [0.5, 0.5, nan], [0.4, 0.4, nan], [0, 0, nan]],
        [True, False, False, False, True],
    )
    axes = (Axis("f", True), Axis("g", True), Axis("new", True))
    assert adding.measured_of(found) == {"f": 5, "g": 5, "new": 1}
    assert adding.lacking(found) == [0, 2, 3, 4]
    assert adding.lacking(found, singles=False) == [2, 3]
    assert adding.on_front(found, axes, [0, 2, 3, 4]) == [0, 2]
    assert adding.on_front(found, axes[2:], [0, 2]) == [] and adding.on_front(found, axes, []) == []


def test_the_form_checks_a_combination_with_the_members_of_its_study(
    family: FamilyFiles, opened: Family
) -> None:
    path = family.study("terse", name="both")
    said = yaml.safe_load(path.read_text())
    both = {"name": "both", "combine": "worst", "of": ["exact", "contains"]}
    keys = {"data": "data/exact.jsonl", "max_new_tokens": 4}
    said["objectives"] = [
        {"name": "exact", "scorer": "exact_match", **keys},
        {"name": "contains", "scorer": "contains", **keys},
        {"name": "long", "scorer": "length", **keys},
        both,
    ]
    path.write_text(yaml.safe_dump(said))
    study = load_study(path)
    item = adding.item_of(path, "both")
    assert item["scorer"] == "combination"
    found, counted = adding.check_document(item, study, opened, "both")
    assert found.direction == "maximize" and not counted.explore
    with pytest.raises(BadInput, match="several units"):
        adding.check_document({**item, "of": ["exact", "long"]}, study, opened, "both")
    with pytest.raises(BadInput, match="no objective named 'more'"):
        adding.check_document({**item, "of": ["exact", "more"]}, study, opened, "both")
