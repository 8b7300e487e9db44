"""Σ log p of choices whose prompts end in other tokens: what they share is read once."""

from __future__ import annotations

import pytest

from engine.scoring.choices import alone_sums, choice_sums, common
from tests.engine.scoring.test_evaluate import Characters, Tiny, log_prob, tiny


@pytest.fixture(scope="module")
def model() -> Tiny:
    return tiny(5, Characters())


def test_what_texts_have_in_common() -> None:
    assert common([(1, 2, 3), (1, 2), (1, 2, 4)]) == (1, 2)
    assert common([(1,), (1,)]) == (1,)
    assert common([(1,), (2, 3)]) == ()


def test_sums_equal_a_plain_loop_wherever_the_prompts_part(model: Tiny) -> None:
    rows = [
        [((1, 2, 3), (4, 5)), ((1, 2, 3), (6,))],  # one prompt
        [((1, 2, 3), (4, 5)), ((1, 2), (7, 8, 9)), ((1, 2, 8), (4,))],  # a token across
        [((3,), (4,)), ((5, 6), (7, 7))],  # nothing in common
    ]
    found = choice_sums(model, rows)
    for pairs, sums in zip(rows, found, strict=True):
        wanted = [sum(log_prob(model, prompt, ids)) for prompt, ids in pairs]
        assert sums == pytest.approx(wanted, abs=1e-5)


def test_choices_without_a_prompt_are_measured_once_each(model: Tiny) -> None:
    rows = [[((0,), (4, 5)), ((0,), (6,))], [((0,), (6,)), ((0,), (4, 5))]]
    found = alone_sums(model, rows)
    wanted = [sum(log_prob(model, (0,), ids)) for ids in ((4, 5), (6,))]
    assert found[0] == pytest.approx(wanted, abs=1e-5) and found[1] == found[0][::-1]
