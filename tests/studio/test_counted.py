from __future__ import annotations

import pytest

from studio.counted import counted


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 points"), (1, "1 point"), (2, "2 points"), (12345, "12,345 points")]
)
def test_a_noun_agrees_with_its_number(count: int, text: str) -> None:
    assert counted(count, "point") == text


def test_an_irregular_plural_is_given() -> None:
    assert [counted(each, "entry", "entries") for each in (1, 3)] == ["1 entry", "3 entries"]
