"""Recipes: one canonical form for each mixture, YAML both ways, and refusals that help."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.errors import BadInput
from engine.recipe import (
    METHODS,
    FrozenDict,
    Names,
    Recipe,
    point_id,
    read_recipe,
    read_yaml,
    recipe_from_dict,
    resolve,
)

assert engine.merging and engine.decoding

NAMES = Names(("helpful", "harmless"), has_target=True)
GIVEN = [
    Recipe("task_arithmetic", {"helpful": 0.5}, {"strength": 0.7}),
    Recipe("task_arithmetic", {"helpful": 1e-7, "harmless": -1e20}),
    Recipe("linear", {"base": 0.3, "harmless": 0.7}),
    Recipe("pcb", {"harmless": 1.0}, {"ratio": 0.25, "variant": "vision_es"}),
    Recipe("proxy_tuning", {"helpful": 0.1 + 0.2}),
    Recipe("logit_fusion", {"base": 1, "helpful": 2}, {"kind": "forward_kl"}),
    Recipe("single", {}, {"model": "target"}),
]


def written(folder: Path, text: str) -> Path:
    place = folder / "recipe.yaml"
    place.write_text(text, encoding="utf-8")
    return place


@pytest.mark.parametrize("recipe", GIVEN, ids=lambda recipe: recipe.method)
def test_yaml_goes_round(recipe: Recipe, tmp_path: Path) -> None:
    for each in (recipe, resolve(recipe, NAMES)):
        again = read_recipe(written(tmp_path, each.to_yaml()))
        assert again == each and again.key == each.key
        assert resolve(again, NAMES) == resolve(recipe, NAMES)


@pytest.mark.parametrize("recipe", GIVEN, ids=lambda recipe: recipe.method)
def test_resolving_again_changes_nothing(recipe: Recipe) -> None:
    once = resolve(recipe, NAMES)
    assert resolve(once, NAMES) == once and resolve(once, NAMES).key == once.key


def test_what_is_left_out_is_zero_or_the_default() -> None:
    full = resolve(
        Recipe(
            "pcb",
            {"helpful": 1, "harmless": 0},
            {"ratio": 0.1, "variant": "main", "strength": 1},
        ),
        NAMES,
    )
    short = resolve(Recipe("pcb", {"helpful": 1.0}), NAMES)
    assert short == full and short.key == full.key and hash(short) == hash(full)
    assert point_id(short, "f") == point_id(full, "f") != point_id(full, "g")
    assert dict(short.coefficients) == {"helpful": 1.0, "harmless": 0.0}
    assert all(isinstance(value, float) for value in short.coefficients.values())


def test_minus_zero_is_zero() -> None:
    plus = resolve(Recipe("pcb", {"helpful": 0.0}, {"strength": 0.0}), NAMES)
    minus = resolve(Recipe("pcb", {"helpful": -0.0}, {"strength": -0.0}), NAMES)
    assert plus.key == minus.key and "-0" not in minus.key


def test_the_order_of_keys_does_not_matter() -> None:
    one = resolve(Recipe("pcb", {"helpful": 1, "harmless": 2}), NAMES)
    other = resolve(Recipe("pcb", {"harmless": 2, "helpful": 1}), NAMES)
    assert one == other and hash(one) == hash(other) and one.key == other.key
    assert list(other.coefficients) == ["helpful", "harmless"]


def test_a_point_is_twelve_hex_digits_and_differs_with_the_recipe() -> None:
    ids = {point_id(resolve(each, NAMES), "family") for each in GIVEN}
    assert len(ids) == len(GIVEN)
    assert all(len(each) == 12 and int(each, 16) >= 0 for each in ids)


def test_a_recipe_cannot_be_changed() -> None:
    recipe = GIVEN[0]
    for change in ("clear", "popitem", "update", "pop", "setdefault"):
        with pytest.raises(TypeError, match="frozen"):
            getattr(recipe.coefficients, change)()
    with pytest.raises(TypeError, match="frozen"):
        recipe.coefficients["helpful"] = 2.0  # type: ignore[index]
    with pytest.raises(AttributeError):
        recipe.method = "pcb"  # type: ignore[misc]


def test_a_recipe_travels_between_processes() -> None:
    again = pickle.loads(pickle.dumps(GIVEN[0]))
    assert again == GIVEN[0] and isinstance(again.coefficients, FrozenDict)


def test_it_is_shown_by_what_is_not_zero() -> None:
    assert str(resolve(Recipe("pcb", {"helpful": 0.5}), NAMES)) == "pcb(helpful 0.5)"
    assert str(Recipe("single", {}, {"model": "base"})) == "base"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"method": "pbc"}, ("pbc", "Did you mean pcb?")),
        ({"method": "pcb", "coefficients": {"helpfull": 1}}, ("helpfull", "mean helpful")),
        ({"method": "pcb", "coefficients": {"base": 1}}, ("'base'", "helpful, harmless")),
        ({"method": "pcb", "parameters": {"ration": 0.1}}, ("ration", "mean ratio")),
        ({"method": "pcb", "parameters": {"ratio": 0}}, ("ratio", "out of range", "(0, 1]")),
        ({"method": "pcb", "parameters": {"ratio": 1.01}}, ("1.01", "(0, 1]")),
        ({"method": "pcb", "parameters": {"ratio": "0.1"}}, ("ratio", "'0.1'")),
        ({"method": "pcb", "parameters": {"ratio": True}}, ("ratio", "True")),
        ({"method": "pcb", "parameters": {"variant": "mian"}}, ("variant", "mean main")),
        ({"method": "pcb", "parameters": {"variant": 1}}, ("variant", "vision_es")),
        ({"method": "pcb", "parameters": {"strength": -0.1}}, ("strength", "[0, 10]")),
        ({"method": "pcb", "coefficients": {"helpful": float("nan")}}, ("helpful", "nan")),
        ({"method": "pcb", "coefficients": {"helpful": float("inf")}}, ("helpful", "inf")),
        ({"method": "pcb", "coefficients": {"helpful": 10**400}}, ("helpful", "finite")),
        ({"method": "pcb", "coefficients": {"helpful": True}}, ("helpful", "True")),
        ({"method": "pcb", "coefficients": {"helpful": None}}, ("helpful", "None")),
        ({"method": "pcb", "coefficients": {"helpful": [1]}}, ("helpful", "[1]")),
        ({"method": "pcb", "coefficients": [1]}, ("coefficients", "[1]")),
        ({"method": "pcb", "coefficients": 0}, ("coefficients", "0")),
        ({"method": "pcb", "parameters": "ratio"}, ("parameters", "ratio")),
        ({"method": "linear"}, ("linear", "sum is 0")),
        ({"method": "linear", "coefficients": {"base": 1, "helpful": -1}}, ("sum is 0",)),
        (
            {"method": "linear", "coefficients": {"base": 1, "helpful": -0.9999999}},
            ("sum is 1e-07, close to 0 compared with", "linear divides by that sum"),
        ),
        (
            {"method": "logit_fusion", "coefficients": {"base": 1e9, "helpful": -999_999_999}},
            ("sum is 1, close to 0",),
        ),
        ({"method": "linear", "coefficients": {"base": 1e308, "helpful": 1e308}}, ("infinite",)),
        ({"method": "single"}, ("model", "base, target, helpful, harmless")),
        ({"method": "single", "parameters": {"model": "helpfull"}}, ("mean helpful",)),
        ({"method": "single", "parameters": {"model": 3}}, ("model", "3")),
        (
            {"method": "single", "coefficients": {"helpful": 1}, "parameters": {"model": "base"}},
            ("helpful", "Known: none"),
        ),
        ({"method": None}, ("'method' is missing", "task_arithmetic")),
        ({"method": "pcb", "weights": {}}, ("weights", "coefficients")),
        ({"method": "pcb", 3: {}}, ("'3'", "coefficients")),
        (["pcb"], ("expected a mapping", "a list")),
        (None, ("expected a mapping", "got nothing")),
    ],
)
def test_is_refused(data: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        resolve(recipe_from_dict(data, "my.yaml"), NAMES, "my.yaml")
    said = str(caught.value)
    assert "my.yaml" in said
    for word in words:
        assert word in said
    assert all(each.fix for each in caught.value.problems), said


def test_no_target_no_target() -> None:
    with pytest.raises(BadInput, match="target"):
        resolve(Recipe("single", {}, {"model": "target"}), Names(("helpful",)))


def test_every_default_is_in_its_own_range() -> None:
    for method in METHODS.values():
        for each in method.parameters:
            if each.kind != "model":
                assert each.check(each.default, "default") == each.default


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "line", "what"),
        [
            ("method: [\n", 2, ""),
            ("a: 1\nb: {c: 1,\n  c: 2}\n", 3, "'c' appears twice"),
            ("method: pcb\nmethod: linear\n", 2, "'method' appears twice"),
            ("method: pcb\n\tratio: 1\n", 2, "cannot start any token"),
            ("a: !!python/object/apply:os.system [ls]\n", 1, "python/object"),
            ("a: &x 1\nb: *y\n", 2, "y"),
            ("{[1]: 2}\n", 1, "a key must be a string"),
        ],
    )
    def test_malformed_yaml_names_its_line(
        self, tmp_path: Path, text: str, line: int, what: str
    ) -> None:
        place = written(tmp_path, text)
        with pytest.raises(BadInput) as caught:
            read_yaml(place)
        assert f"{place}:{line}: " in str(caught.value) and what in str(caught.value)

    @pytest.mark.parametrize("text", ["[" * 500, "a: \x07\n"])
    def test_what_has_no_line_names_the_file(self, tmp_path: Path, text: str) -> None:
        place = written(tmp_path, text)
        with pytest.raises(BadInput, match=str(place)):
            read_yaml(place)

    def test_other_bytes(self, tmp_path: Path) -> None:
        place = tmp_path / "recipe.yaml"
        place.write_bytes(b"method: \xff\xfe\n")
        with pytest.raises(BadInput, match="UTF-8"):
            read_yaml(place)
        with pytest.raises(BadInput, match="directory"):
            read_yaml(tmp_path)
        with pytest.raises(BadInput, match="no such file"):
            read_yaml(tmp_path / "gone.yaml")

    def test_numbers_as_people_write_them(self, tmp_path: Path) -> None:
        text = "[1, 1.5, 1e-3, 1.0e-3, -2E+2, .5, 5., 12e03]"
        assert read_yaml(written(tmp_path, text)) == [1, 1.5, 1e-3, 1e-3, -200, 0.5, 5.0, 12000.0]

    def test_a_merge_key_may_be_overridden(self, tmp_path: Path) -> None:
        text = "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n"
        assert read_yaml(written(tmp_path, text))["b"] == {"x": 1, "y": 3}
