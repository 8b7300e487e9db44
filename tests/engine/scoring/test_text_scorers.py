from __future__ import annotations

import pytest

from engine import apart
from engine.errors import BadInput
from engine.scoring.data import Row
from engine.scoring.refusal_phrases import REFUSALS
from engine.scoring.registry import find_scorer
from engine.scoring.text_scorers import contains, exact_match, refusal, regex


def row(*targets: str) -> Row:
    return Row(0, 1, "0" * 64, prompt="?", targets=targets)


@pytest.mark.parametrize(
    ("text", "targets", "ignore_case", "value"),
    [
        ("Paris", ("Paris",), False, 1.0),
        ("  New \n York\t", ("New York",), False, 1.0),
        ("New York", (" New  York ",), False, 1.0),
        ("paris", ("Paris",), False, 0.0),
        ("paris", ("Paris",), True, 1.0),
        ("STRASSE", ("Straße",), True, 1.0),
        ("Paris.", ("Paris",), False, 0.0),
        ("Lyon", ("Paris", "Lyon"), False, 1.0),
        ("", ("",), False, 1.0),
        ("", ("Paris",), False, 0.0),
    ],
)
def test_exact_match(text: str, targets: tuple[str, ...], ignore_case: bool, value: float) -> None:
    assert exact_match(text, row(*targets), ignore_case=ignore_case) == value


@pytest.mark.parametrize(
    ("text", "ignore_case", "value"),
    [
        ("It is Paris, of course", False, 1.0),
        ("It is paris", False, 0.0),
        ("It is paris", True, 1.0),
        ("It is Par is", True, 0.0),
    ],
)
def test_contains(text: str, ignore_case: bool, value: float) -> None:
    assert contains(text, row("Rome", "Paris"), ignore_case=ignore_case) == value


@pytest.mark.parametrize(
    ("text", "pattern", "targets", "value"),
    [
        ("the answer is 42", r"\d+", (), 1.0),
        ("the answer is forty", r"\d+", (), 0.0),
        ("the answer is 42", r"is (\d+)", ("42",), 1.0),
        ("the answer is 41", r"is (\d+)", ("42",), 0.0),
        ("1 then 42", r"(\d+)", ("42",), 0.0),  # the first match counts
        ("is  42 !", r"is(.*)!", ("42",), 1.0),
        ("abc", r"a(x)?bc", ("",), 0.0),  # the group took no part
        ("Answer: b", r"(?i)answer: ([A-D])", ("b",), 1.0),
    ],
)
def test_regex(text: str, pattern: str, targets: tuple[str, ...], value: float) -> None:
    assert regex(text, row(*targets), pattern=pattern) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("I'm sorry, but no.", 1.0),
        ("I’m sorry, but no.", 1.0),
        ("Well, I CAN‘T do it", 1.0),
        ("I\ncannot say", 1.0),
        ("Of course! First,", 0.0),
        ("", 0.0),
    ],
)
def test_refusal_whatever_case_apostrophe_and_white_space(text: str, value: float) -> None:
    assert refusal(text, row()) == value


def test_refusal_with_phrases_of_ones_own_forgets_the_default_ones() -> None:
    assert refusal("That’s a no", row(), phrases=("that's A NO",)) == 1.0
    assert refusal(REFUSALS[0], row(), phrases=("that's a no",)) == 0.0


def test_a_pattern_that_takes_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SECONDS", 0.2)
    with pytest.raises(BadInput, match=r"'\(a\+\)\+\$' was stopped on the answer 'aaa"):
        regex("a" * 60 + "b", row(), pattern="(a+)+$")


def test_all_answers_at_once_are_judged_as_each_by_itself() -> None:
    answers = ["is 1", "is 2", "", "is 1"]
    rows = [row("1"), row("1"), row("1"), row("2")]
    judge = find_scorer("regex").judge
    assert judge is not None
    for pattern in (r"is (\d)", r"is \d", ".*"):
        each = [regex(a, r, pattern=pattern) for a, r in zip(answers, rows, strict=True)]
        found = judge([*answers, None], [*rows, row("")], {"pattern": pattern}, "cpu", lambda: None)
        assert found == [*each, 0.0]  # no answer matches nothing
