"""The registry of methods: every fact in the registration, every name and mark once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from engine.errors import BadInput
from engine.method import METHODS, Corners, Names, find_method, first_method, method
from engine.parameter import Says
from engine.recipe import Recipe, unmerged
from engine.scoring.registry import SCORERS, scorer

FACTS: dict[str, Any] = {
    "space": "weight", "summary": "Does.", "slider": "How much.", "mark": "hash",
}  # fmt: skip
SCORED: dict[str, Any] = {
    "kind": "text", "direction": "maximize", "mean": "proportion", "needs": "prompt",
    "summary": "it is so",
}  # fmt: skip


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """The registries as they were, put back afterwards."""
    before = [(each, dict(each)) for each in (METHODS, SCORERS)]
    yield
    for registry, entries in before:
        registry.clear()
        registry.update(entries)


def test_what_is_known_of_a_method_stands_in_its_registration() -> None:
    @method(**FACTS, corners=Corners("base", True), strength=True, names_base=True)
    def shaped(tensors: None, *, share: Annotated[float, Says("Share.")] = 0.1) -> None: ...

    found = METHODS["shaped"]
    assert [each.name for each in found.parameters] == ["share", "strength"]
    assert (found.source, found.mark, found.corners.zero) == ("defined here", "hash", "base")
    names = Names(("x", "y"))
    assert found.coefficient_names(names) == ("base", "x", "y")
    assert found.structural({"share": 0.1, "strength": 2.0}) == {"share": 0.1}


@pytest.mark.parametrize("fact", ["summary", "slider", "mark"])
def test_a_method_that_does_not_say_what_it_does_is_refused(fact: str) -> None:
    def silent(tensors: None) -> None: ...

    with pytest.raises(TypeError, match=f"it has no {fact}"):
        method(**FACTS | {fact: " "})(silent)
    assert "silent" not in METHODS


def test_a_parameter_that_no_recipe_can_hold_is_refused() -> None:
    def odd(tensors: None, *, rows: Annotated[tuple[str, ...], Says("Rows.")] = ()) -> None: ...

    with pytest.raises(TypeError, match="a recipe cannot hold the texts rows"):
        method(**FACTS)(odd)
    assert "odd" not in METHODS


@pytest.mark.parametrize("mark", ["circle", "square", "diamond", "star"])
def test_a_mark_is_one_methods_alone(mark: str) -> None:
    def twin(tensors: None) -> None: ...

    with pytest.raises(ValueError, match=f"has the mark {mark}"):
        method(**FACTS | {"mark": mark})(twin)


def test_a_name_is_registered_once_among_methods_and_scorers() -> None:
    def pcb(tensors: None) -> None: ...
    def contains(text: str, row: Any) -> float:
        return 0.0

    def linear(text: str, row: Any) -> float:
        return 0.0

    kept = METHODS["pcb"], SCORERS["contains"]
    for register, taken, said in (
        (method(**FACTS), pcb, "method pcb: there is already a method of this name"),
        (method(**FACTS), contains, "method contains: there is already a scorer of this name"),
        (scorer(**SCORED), contains, "scorer contains: there is already a scorer of this name"),
        (scorer(**SCORED), linear, "scorer linear: there is already a method of this name"),
    ):
        with pytest.raises(ValueError, match=said):
            register(taken)
    assert (METHODS["pcb"], SCORERS["contains"]) == kept


@pytest.mark.parametrize("fact", ["summary", "unit"])
def test_a_scorer_that_does_not_say_what_it_measures_is_refused(fact: str) -> None:
    def silent(text: str, row: Any) -> float:
        return 0.0

    facts = SCORED | {"mean": "mean", "unit": "marks"} | {fact: ""}
    with pytest.raises(TypeError, match=f"it has no {fact}"):
        scorer(**facts)(silent)


def test_everything_registered_says_what_it_is() -> None:
    for found in METHODS.values():
        assert found.summary.endswith("."), found.name
        assert found.slider.endswith(".") or not found.takes_coefficients, found.name
    for each in SCORERS.values():
        assert each.summary and each.unit and each.source, each.name
    for entry in (*METHODS.values(), *SCORERS.values()):
        parameters = entry.parameters if hasattr(entry, "parameters") else entry.options
        for parameter in parameters:
            assert parameter.sentence.endswith("."), (entry.name, parameter.name)
            assert all(parameter.choices.values()), (entry.name, parameter.name)


def test_models_come_base_first() -> None:
    assert Names(("x", "y"), has_target=True).models == ("base", "target", "x", "y")
    assert Names(("x",)).models == ("base", "x")


def test_near_matches() -> None:
    with pytest.raises(BadInput, match="Did you mean task_arithmetic"):
        find_method("task_arithmetics", "here")
    with pytest.raises(BadInput, match="Known: "):
        find_method("zzz")


def test_facts_of_one_method_alone_are_asked_for_by_no_name() -> None:
    """Which method is one model unmerged, and which to begin with, its own file says."""
    root = Path(__file__).parents[2]
    own = re.compile(r"""(?:==|!=|FIRST =) ["'](?:single|task_arithmetic)["']|Recipe\(["']single""")
    found = [
        str(path.relative_to(root))
        for top in ("engine", "studio", "ui", "pages")
        for path in (root / top).rglob("*.py")
        if own.search(path.read_text(encoding="utf-8"))
    ]
    assert not found


def test_one_method_is_unmerged_and_one_the_first() -> None:
    assert unmerged("helpful") == Recipe("single", {}, {"model": "helpful"})
    assert unmerged("helpful").unmerged == "helpful" and str(unmerged("helpful")) == "helpful"
    assert Recipe("pcb", {"helpful": 1.0}).unmerged is None is Recipe("gone").unmerged
    assert first_method().name == "task_arithmetic"
    for fact in ({"unmerged": "model"}, {"first": True}):
        with pytest.raises(ValueError, match="another one is"):
            method(**FACTS | fact)(_another)


def _another() -> None: ...
