"""Coefficients by depth: which layers a band has, and what a recipe with bands is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.bands import GROUPS, band_at, band_of, banded, bands_of, each_band, plain, value_of
from engine.errors import BadInput
from engine.method import METHODS, Names
from engine.recipe import Recipe, point_id, read_recipe, recipe_from_dict, resolve

assert engine.merging and engine.decoding

NAMES = Names(("helpful", "harmless"), has_target=True)
DEEP = Names(("helpful", "harmless"), layers=4)

# ids that a build without bands gave
KNOWN = {
    "6fad8507a463": ("task_arithmetic", {"helpful": 1.0, "harmless": 0.6}, {"strength": 0.7}),
    "aebc79114cd7": ("pcb", {"helpful": 1.0}, {}),
    "13b934c15492": ("linear", {"base": 0.25, "helpful": 0.75}, {}),
    "37b16de308ef": ("ties", {"helpful": 0.5}, {}),
    "f82b7ee018ff": ("dare", {"harmless": 1.0}, {}),
    "494c6507cd26": ("tsv", {}, {}),
}


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))))
def test_bands_are_contiguous_and_as_equal_as_possible(given: tuple[int, int]) -> None:
    layers, groups = given
    found = [band_at(layer, layers, groups) for layer in range(layers)]
    assert found == sorted(found) and set(found) == set(range(1, groups + 1))
    sizes = [found.count(band) for band in set(found)]
    assert max(sizes) - min(sizes) <= 1


def test_names() -> None:
    assert banded("a b.c", 1) == ("a b.c",) and banded("a", 2) == ("a@1", "a@2")
    assert (plain("a@2"), plain("a"), band_of("a@12"), band_of("a")) == ("a", "a", 12, 0)
    assert bands_of(("a", "b")) == 1 and bands_of(("a@1", "a@2")) == 2 and bands_of(()) == 1
    assert list(each_band({"a@1": 1.0, "a@2": 2.0, "b@1": 3.0, "b@2": 4.0})) == [
        {"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 4.0},
    ]  # fmt: skip


def test_what_one_recipe_says_of_the_coefficients_of_another() -> None:
    assert value_of({"a": 0.5}, "a@3") == 0.5
    assert value_of({"a@1": 0.0, "a@2": 1.0}, "a") == 0.5
    assert value_of({"a@1": 0.2, "a@2": 1.0}, "a@1") == 0.2
    assert value_of({"a": 0.5}, "b") == value_of({"a": 0.5}, "b@1") == 0.0


@pytest.mark.parametrize("wanted", KNOWN)
@pytest.mark.parametrize("groups", [{}, {"groups": 1}, {"groups": 1.0}])
def test_one_band_is_the_recipe_without_bands(wanted: str, groups: dict[str, Any]) -> None:
    method, coefficients, parameters = KNOWN[wanted]
    for names in (NAMES, Names(NAMES.experts, True, 4), Names(NAMES.experts, True, 0, "none")):
        recipe = resolve(Recipe(method, coefficients, parameters | groups), names)
        assert point_id(recipe, "f") == wanted and "groups" not in recipe.key


def test_every_linear_method_in_weight_space_has_bands() -> None:
    weight = {each.name for each in METHODS.values() if each.space == "weight"}
    banded = {each.name for each in METHODS.values() if GROUPS in each.parameters}
    assert banded <= weight
    assert banded >= {each for each in weight if METHODS[each].corners.zero == "base"}
    assert "linear" in banded


def test_a_plain_name_is_for_every_band_that_is_not_given() -> None:
    given = {"helpful": 0.5, "harmless@2": 1}
    recipe = resolve(Recipe("task_arithmetic", given, {"groups": 2}), DEEP)
    assert dict(recipe.coefficients) == {
        "helpful@1": 0.5, "helpful@2": 0.5, "harmless@1": 0.0, "harmless@2": 1.0,
    }  # fmt: skip
    assert recipe.parameters["groups"] == 2
    own = {"helpful": 0.5, "helpful@1": 0.25}
    recipe = resolve(Recipe("pcb", own, {"groups": 2.0}), NAMES)
    assert (recipe.coefficients["helpful@1"], recipe.coefficients["helpful@2"]) == (0.25, 0.5)
    assert resolve(recipe, DEEP) == recipe


def test_a_file_goes_round(tmp_path: Any) -> None:
    file = tmp_path / "recipe.yaml"
    recipe = resolve(Recipe("linear", {"base": 1, "helpful@3": 2}, {"groups": 3}), DEEP)
    file.write_text(recipe.to_yaml(), encoding="utf-8")
    assert resolve(read_recipe(file), DEEP) == recipe
    assert resolve(recipe_from_dict(recipe.as_dict()), DEEP).key == recipe.key


@pytest.mark.parametrize(
    ("parameters", "coefficients", "names", "said"),
    [
        ({"groups": 5}, {}, DEEP, "5 bands, but the models have 4 layers"),
        ({"groups": 0}, {}, DEEP, "out of range"),
        ({"groups": 1.5}, {}, DEEP, "whole number"),
        ({"groups": 10**6}, {}, NAMES, "out of range"),
        ({"groups": 2}, {"helpful": 1.0}, Names(("helpful",), no_layers="odd"), "cannot be told"),
        ({}, {"helpful@2": 1.0}, DEEP, "'helpful@2' is for a band of layers, and there is one"),
        ({"groups": 2}, {"helpful@3": 1.0}, DEEP, "there are 2 bands"),
        ({"groups": 2}, {"helpful@02x": 1.0}, DEEP, "helpful@02x"),
        ({"groups": 2}, {"helpful@": 1.0}, DEEP, "helpful@"),
        ({"groups": 2}, {"helpful@1": "a"}, DEEP, "finite number"),
        ({"groups": 2}, {"other@1": 1.0}, DEEP, "no coefficient of task_arithmetic"),
    ],
)
def test_refusals(
    parameters: dict[str, Any], coefficients: dict[str, Any], names: Names, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        resolve(Recipe("task_arithmetic", coefficients, parameters), names)


def test_a_band_without_proportions_is_refused_by_its_number() -> None:
    with pytest.raises(BadInput, match="of band 2: their sum is 0"):
        resolve(Recipe("linear", {"helpful@1": 1.0}, {"groups": 2}), DEEP)


def test_methods_without_bands_take_none() -> None:
    with pytest.raises(BadInput, match="groups"):
        resolve(Recipe("proxy_tuning", {"helpful": 1.0}, {"groups": 2}), DEEP)


def test_what_a_family_has_to_choose_from() -> None:
    spec = METHODS["pcb"]
    assert GROUPS in spec.parameters_in(Names(("a",)))
    (own,) = [each for each in spec.parameters_in(DEEP) if each.name == "groups"]
    assert (own.limits.low, own.limits.high) == (1, 4)
    for names in (Names(("a",), no_layers="odd"), Names(("a",), layers=1)):
        assert [each.name for each in spec.parameters_in(names)] == ["ratio", "variant", "strength"]
