"""Parameters: read from a signature, checked by one check, each with its sentence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from engine.errors import BadInput
from engine.parameter import Limits, ModelName, Parameter, Says, is_number, parameters_of

KINDS = {
    "share": "float", "seed": "int", "loud": "flag", "way": "choice", "model": "model",
    "phrase": "text", "more": "text", "stops": "texts", "judge": "directory",
}  # fmt: skip


def shaped(
    tensors: Nowhere,  # type: ignore[name-defined]  # noqa: F821
    *,
    share: Annotated[float, Limits(0, 1, open_low=True), Says("How much.")] = 0.2,
    seed: Annotated[int, Says("Which lots.")] = 0,
    loud: Annotated[bool, Says("Whether it tells.")] = False,
    way: Annotated[Literal["a", "b"], Says("Which way.", a="left", b="right")] = "a",
    model: Annotated[ModelName, Says("Which model.")],
    phrase: Annotated[str, Says("What it looks for.")],
    more: Annotated[str | None, Says("What else.")] = None,
    stops: Annotated[tuple[str, ...], Says("Where it ends.")] = ("x",),
    judge: Annotated[Path | None, Says("Who decides.")] = None,
) -> None:
    """Its first argument's type need not exist."""


def test_a_signature_says_the_parameters() -> None:
    found = {each.name: each for each in parameters_of(shaped)}
    assert {name: each.kind for name, each in found.items()} == KINDS
    assert found["share"].default == 0.2 and not found["share"].limits.holds(0.0)
    assert dict(found["way"].choices) == {"a": "left", "b": "right"}
    assert [each.name for each in found.values() if each.required] == ["model", "phrase"]
    assert [each.name for each in found.values() if each.absent] == ["more", "judge"]
    assert found["share"].help == "How much.\n\nAllowed: (0, 1]."
    assert found["way"].help == "Which way.\n\na: left\n\nb: right"


@pytest.mark.parametrize(
    "annotation",
    [
        float,
        Annotated[float, Limits(0, 1)],
        Annotated[float, Says("")],
        Annotated[Literal["a", "b"], Says("Which way.")],
        Annotated[Literal["a", "b"], Says("Which way.", a="left")],
        Annotated[Literal["a"], Says("Which way.", a="left", b="right")],
    ],
)
def test_a_parameter_or_a_value_without_a_sentence_is_refused(annotation: Any) -> None:
    def silent(*, way: float = 0.0) -> None: ...

    silent.__annotations__["way"] = annotation
    with pytest.raises(TypeError, match="description"):
        parameters_of(silent)


def test_what_no_file_can_hold_is_refused() -> None:
    def odd(*, rows: Annotated[list[int], Says("Rows.")]) -> None: ...

    with pytest.raises(TypeError, match="rows: no file can hold"):
        parameters_of(odd)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("share", 1, 1.0), ("share", -0.0 + 0.5, 0.5), ("seed", 3.0, 3), ("loud", True, True),
        ("way", "b", "b"), ("model", "base", "base"), ("phrase", "", ""), ("more", None, None),
        ("stops", "No.", ("No.",)), ("stops", ["a", "b"], ("a", "b")), ("judge", None, None),
    ],
)  # fmt: skip
def test_one_check_gives_the_canonical_value(name: str, value: Any, kept: Any) -> None:
    found = {each.name: each for each in parameters_of(shaped)}[name].check(value, "here")
    assert found == kept and type(found) is type(kept)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("share", 0, r"0 is out of range. Allowed: \(0, 1\]"), ("share", True, "finite number"),
        ("seed", 3.5, "whole number"), ("loud", 1, "true or false"),
        ("way", "c", "no choice named 'c'"), ("way", 1, "expected a string, got 1. One of a, b"),
        ("model", 1, "Name a model"), ("phrase", None, "expected a string"),
        ("stops", [" "], "non-blank strings"), ("stops", [], "list of non-blank strings"),
        ("judge", 7, "a string"),
    ],
)  # fmt: skip
def test_one_check_refuses_with_the_place(name: str, value: Any, said: str) -> None:
    parameter = {each.name: each for each in parameters_of(shaped)}[name]
    with pytest.raises(BadInput, match=rf"^here: option {name}: .*{said}"):
        parameter.check(value, "here", "option")


def test_bounds_say_which_end_is_open() -> None:
    assert str(Limits(0, 1, open_low=True)) == "(0, 1]"
    assert str(Limits(0, 1, open_high=True)) == "[0, 1)"
    assert Limits(0, 1).holds(0) and not Limits(0, 1, open_high=True).holds(1)
    assert Limits().holds(-1e300)


def test_a_whole_number_stays_one() -> None:
    seed = Parameter("seed", "int", "Lots.", 0, limits=Limits(0, 100))
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
