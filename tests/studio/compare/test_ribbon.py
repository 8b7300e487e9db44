"""What is drawn of a map, and the recipe at a value of it."""

from __future__ import annotations

from typing import Any

from engine.method import Names
from studio.compare.ribbon import drawn, moved

RECIPE = {"method": "proxy_tuning", "coefficients": {"a": 0.5, "b": 3.0}, "parameters": {}}


def part(low: float, high: float, text: str) -> dict[str, Any]:
    return {"from": low, "to": high, "text": text, "token_ids": [1]}


def test_neighbours_that_read_the_same_are_one() -> None:
    intervals = [part(0.0, 0.5, "x"), part(0.5, 0.75, "x"), part(0.75, 2.0, "y")]
    result = {
        "recipe": RECIPE,
        "slider": "b",
        "range": [0.0, 2.0],
        "outputs": [{"prompt": "say", "intervals": intervals}],
    }
    data = drawn(result, "7")
    assert data["rows"] == [{"prompt": "say", "ends": [0.0, 0.75, 2.0], "texts": ["x", "y"]}]
    assert data["at"] == 2.0  # beyond the range, it stands at its end


def test_a_value_becomes_a_recipe() -> None:
    found = moved({"recipe": RECIPE, "slider": "b"}, 0.25, Names(("a", "b")))
    assert dict(found.coefficients) == {"a": 0.5, "b": 0.25}
