"""The registry of methods: parameters read from a signature, with bounds and choices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import pytest

from engine.errors import BadInput
from engine.method import METHODS, Bounds, Names, Parameter, find_method, is_number, method


@pytest.fixture
def registry() -> Iterator[dict[str, Any]]:
    """The registry as it was, put back afterwards."""
    before = dict(METHODS)
    yield METHODS
    METHODS.clear()
    METHODS.update(before)


def test_a_signature_says_the_parameters(registry: Mapping[str, Any]) -> None:
    @method(space="weight", summary="s", source="arXiv 0", strength=True, names_base=True)
    def shaped(
        tensors: Nowhere,  # type: ignore[name-defined]  # noqa: F821
        *,
        share: Annotated[float, Bounds(0, 1, open_low=True)] = 0.2,
        seed: int = 0,
        kind: Literal["a", "b"] = "a",
        model: Annotated[str, "model"],
    ) -> None:
        """Its first argument's type need not exist."""

    found = {each.name: each for each in registry["shaped"].parameters}
    assert list(found) == ["share", "seed", "kind", "model", "strength"]
    assert (found["share"].kind, found["share"].default) == ("float", 0.2)
    assert not found["share"].bounds.holds(0.0) and found["share"].bounds.holds(1.0)
    assert (found["seed"].kind, found["kind"].choices) == ("int", ("a", "b"))
    assert (found["model"].kind, found["model"].default) == ("model", None)
    assert found["strength"].default == 1.0
    names = Names(("x", "y"))
    assert registry["shaped"].coefficient_names(names) == ("base", "x", "y")
    assert registry["shaped"].structural({"share": 0.1, "strength": 2.0}) == {"share": 0.1}


def test_a_parameter_that_no_recipe_can_hold(registry: Mapping[str, Any]) -> None:
    with pytest.raises(TypeError, match="rows"):

        @method(space="weight", summary="", source="")
        def odd(tensors: None, *, rows: list[int]) -> None: ...

    assert "odd" not in registry


def test_models_come_base_first() -> None:
    assert Names(("x", "y"), has_target=True).models == ("base", "target", "x", "y")
    assert Names(("x",)).models == ("base", "x")


def test_near_matches() -> None:
    with pytest.raises(BadInput, match="Did you mean task_arithmetic"):
        find_method("task_arithmetics", "here")
    with pytest.raises(BadInput, match="Known: "):
        find_method("zzz")


def test_bounds_say_which_end_is_open() -> None:
    assert str(Bounds(0, 1, open_low=True)) == "(0, 1]"
    assert str(Bounds(0, 1, open_high=True)) == "[0, 1)"
    assert Bounds(0, 1).holds(0) and not Bounds(0, 1, open_high=True).holds(1)
    assert Bounds().holds(-1e300)


def test_a_whole_number_stays_one() -> None:
    seed = Parameter("seed", "int", 0, Bounds(0, 100))
    assert seed.check(3.0, "r") == 3 and isinstance(seed.check(3.0, "r"), int)
    for wrong in (3.5, "3", True, -1, 101, math.nan):
        with pytest.raises(BadInput, match="seed"):
            seed.check(wrong, "r")


@pytest.mark.parametrize("value", [0, -1, 1.5, 10**300])
def test_numbers(value: float) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", [True, None, "1", math.nan, -math.inf, 10**400, 1j, [1]])
def test_what_is_no_number(value: object) -> None:
    assert not is_number(value)
