"""Settings of a mergekit YAML: gradients, filters, and the level that counts."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import BadInput
from engine.mergekit.levels import check_setting, resolve, setting_at
from engine.parameter import Parameter

NUMBER = Parameter("weight", "float", "A number.").check
WHOLE = Parameter("max_iter", "int", "A whole number.").check
FLAG = Parameter("normalize", "flag", "A flag.").check
UP = "model.layers.3.mlp.up_proj.weight"


def at(setting: Any, tensor: str = UP, depth: float = 0.0, check: Any = NUMBER) -> Any:
    check_setting(setting, check, "here")
    return setting_at(setting, tensor, depth, check, "here")


def test_a_value_counts_everywhere() -> None:
    assert at(0.25) == at(0.25, depth=1.0) == 0.25
    assert at(True, check=FLAG) is True


def test_a_gradient_is_straight_between_its_numbers() -> None:
    found = [at([0, 1, 0.5], depth=layer / 4) for layer in range(5)]
    assert found == [0.0, 0.5, 1.0, 0.75, 0.5]
    assert at([0.5], depth=1.0) == 0.5
    assert at([10, 20], depth=0.5, check=WHOLE) == 15


def test_flags_have_nothing_between_them() -> None:
    assert [at([True, False, True], depth=each, check=FLAG) for each in (0, 0.49, 0.5, 1)] == [
        True, True, False, True,
    ]  # fmt: skip


def test_a_number_between_whole_ones_is_refused() -> None:
    with pytest.raises(BadInput, match=r"whole number, got 10\.5"):
        at([10, 11], depth=0.5, check=WHOLE)


def test_the_first_filter_that_matches() -> None:
    setting = [
        {"filter": "self_attn", "value": [0, 1]},
        {"filter": "mlp", "value": 0.5},
        {"filter": "up_proj", "value": 9},
    ]
    assert at(setting) == 0.5
    assert at(setting, "model.layers.3.self_attn.q_proj.weight", 0.25) == 0.25
    assert at(setting, "lm_head.weight") is None
    assert at([*setting, {"value": 2}], "lm_head.weight") == 2.0
    assert at([{"filter": "*", "value": 3}], "lm_head.weight") == 3.0
    assert at({"filter": "lm_head", "value": 2}, "lm_head.weight") == 2.0


def test_the_nearest_level_that_says_something() -> None:
    def found(*levels: dict[str, Any]) -> Any:
        return resolve("weight", levels, UP, 1.0, NUMBER, "here")

    elsewhere = {"weight": [{"filter": "self_attn", "value": 1}]}
    assert found({"weight": 1}, {"weight": 2}) == 1.0
    assert found({}, elsewhere, {"weight": [2, 3]}) == 3.0
    assert found({"density": 1}, elsewhere) is None


def endless() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    "setting",
    [
        "half", True, [], [1, "x"], [[1]], float("nan"), [1, float("inf")], [{"filter": "*"}],
        [{"value": [{"value": 1}]}], [1, {"value": 1}], [{"filer": "mlp", "value": 1}],
        10**400, [{"filter": 3, "value": 1}], endless(),
    ],
    ids=str,
)  # fmt: skip
def test_a_setting_that_is_none(setting: Any) -> None:
    with pytest.raises(BadInput, match=r"here"):
        check_setting(setting, NUMBER, "here")
