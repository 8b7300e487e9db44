"""The rules behind the sliders and the parameter form."""

from __future__ import annotations

import engine  # noqa: F401
from engine.recipe import METHODS, Names, Recipe, resolve
from ui import recipe as controls

NAMES = Names(("helpful", "terse"), True)


def test_every_method_can_be_chosen_and_the_models_come_last() -> None:
    found = controls.methods()
    assert set(found) == set(METHODS)
    assert found[0] == "task_arithmetic" and found[-1] == "single"


def test_sliders_start_inside_their_range_and_widen_for_a_recipe_from_elsewhere() -> None:
    assert controls.start_value(0.0, 1.5) == 0.5
    assert controls.start_value(0.8, 1.5) == 0.8
    assert controls.start_value(-1.0, 0.2) == 0.2
    assert controls.span(0.0, 1.5, 2.4) == (0.0, 2.4)
    assert controls.span(0.0, 1.5, -0.3) == (-0.3, 1.5)


def test_defaults_of_every_method_make_a_recipe_that_resolves() -> None:
    for method in METHODS.values():
        parameters = controls.default_parameters(method, NAMES)
        c = dict.fromkeys(method.coefficient_names(NAMES), 0.5)
        found = resolve(Recipe(method.name, c, parameters), NAMES).parameters
        rest = {"groups", *(each.name for each in method.parameters if not each.counts(parameters))}
        assert found == {name: each for name, each in parameters.items() if name not in rest}
        text = controls.parameters_text(method, parameters)
        assert [each.name for each in method.parameters if each.name in text] == [
            each.name for each in method.parameters if each.counts(parameters)
        ]


def test_shares_sum_to_one() -> None:
    recipe = resolve(Recipe("logit_fusion", {"base": 0.5, "helpful": 1.5}), NAMES)
    assert controls.shares(recipe) == "base 0.25, helpful 0.75, terse 0.00"


def test_the_form_s_label_leaves_out_what_means_nothing() -> None:
    method = METHODS["logit_fusion"]
    values = controls.default_parameters(method, NAMES)
    assert controls.parameters_text(method, values) == "kind reverse_kl"
    bent = values | {"kind": "alpha"}
    assert controls.parameters_text(method, bent) == "kind alpha, alpha 0.5"
