"""Which examples are shown, and with which the prompts begin."""

from __future__ import annotations

from studio.compare.filters import filters, first_rows
from tests.studio.compare.test_slices import NAN, examples

FOUND = examples([1, 1, 0, 0], [0, 1, 1, 0])


def rows(found: object) -> dict[str, list[int]]:
    return {each.label: each.rows.tolist() for each in filters(found)}  # type: ignore[arg-type]


def test_it_starts_where_columns_differ() -> None:
    assert rows(FOUND) == {
        "columns differ": [0, 2],
        "every example": [0, 1, 2, 3],
        "all right": [1],
        "all wrong": [3],
        "A helpful right, B harmless wrong": [0],
        "B harmless right, A helpful wrong": [2],
    }
    assert filters(FOUND)[0].text == "columns differ (2)"


def test_where_nothing_differs_it_starts_with_all() -> None:
    found = rows(examples([1, 0], [1, 0]))
    assert list(found)[:2] == ["every example", "columns differ"]


def test_one_column_is_right_or_wrong() -> None:
    assert rows(examples([1, 0, NAN])) == {
        "every example": [0, 1, 2], "right": [0], "wrong": [1],
    }  # fmt: skip


def test_of_three_columns_any_two_are_told_apart() -> None:
    found = rows(examples([1, 0], [0, 1], [1, 1]))
    assert found["A helpful right, B harmless wrong"] == [0]
    assert found["C right, B harmless wrong"] == [0] and found["C right, A helpful wrong"] == [1]
    assert len(found) == 4 + 6


def test_where_less_is_better_a_0_is_right() -> None:
    found = rows(examples([1, 0], [0, 0], maximize=False))
    assert found["all right"] == [1] and found["B harmless right, A helpful wrong"] == [0]


def test_losses_are_better_not_right() -> None:
    found = rows(examples([1.0, 2.0], [1.5, 1.0], maximize=False, proportion=False))
    assert list(found)[2:] == [
        "A helpful better than B harmless",
        "B harmless better than A helpful",
    ]
    assert found["A helpful better than B harmless"] == [0]


def test_prompts_begin_where_columns_differ() -> None:
    assert first_rows(FOUND, 3) == [0, 2, 1]
    assert first_rows(FOUND, 1) == [0]
    assert first_rows(examples([1, 0, 1]), 2) == [0, 1]
    assert first_rows(examples([1, 0]), 5) == [0, 1]
