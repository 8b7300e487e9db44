"""A recipe in an address, and read from it again."""

from __future__ import annotations

import pytest

from engine.method import Names
from engine.recipe import Recipe, resolve
from ui.address import of_recipe, to_recipe

NAMES = Names(("helpful", "harmless"))


@pytest.mark.parametrize(
    "prompt",
    ["", "be rude", " a, b; c: d (e)\n@f=g&h%2C", "sois désagréable “ici”", "None", "1.5"],
)
def test_a_text_comes_back_as_it_was(prompt: str) -> None:
    parameters = {"expert": "harmless", "negative_prompt": prompt}
    recipe = resolve(Recipe("guidance", {"scale": 0.5, "negative": 0.25}, parameters), NAMES)
    said = of_recipe(recipe, NAMES)
    assert not set("()") & set(said["p"] or "") and ("," in (said["p"] or "")) == bool(prompt)
    assert to_recipe({key: value for key, value in said.items() if value}, NAMES) == recipe
