"""Votes: what is counted, how sure it is, and in which order it is asked."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scoring.intervals import wilson
from studio.votes.ballots import Ballot, Choice, Vote
from studio.votes.counting import PRIOR_SD, bias, rate, strengths
from studio.votes.deck import ballots


def vote(question: str, left: str, right: str, choice: Choice) -> Vote:
    return Vote(Ballot(question, left, right), choice)


def test_a_question_is_one_observation_and_ties_count_half() -> None:
    votes = [
        vote("q1", "a", "b", "left"), vote("q1", "b", "a", "right"),  # a, twice
        vote("q2", "a", "b", "left"), vote("q2", "b", "a", "left"),  # by position alone
        vote("q3", "b", "a", "tie"), vote("q4", "b", "a", "bad"),
        vote("q5", "a", "c", "left"),  # another pair
    ]  # fmt: skip
    found = rate(votes, "a", "b")
    assert found is not None
    assert (found.questions, found.votes) == (4, 6)
    assert (found.wins, found.losses, found.ties, found.bad) == (3, 1, 1, 1)
    scores = np.array([1.0, 0.5, 0.5, 0.5])
    assert found.rate == scores.mean()
    assert found.stderr == pytest.approx(scores.std(ddof=1) / 2)
    assert (found.low, found.high) == wilson(2.5, 4)
    turned = rate(votes, "b", "a")
    assert turned is not None and turned.rate == pytest.approx(1 - found.rate)
    assert turned.low == pytest.approx(1 - found.high) and turned.wins == found.losses
    assert rate(votes, "b", "c") is None


def test_one_question_has_no_error_and_the_left_one_is_counted() -> None:
    votes = [
        vote("q1", "a", "b", "left"),
        vote("q1", "b", "a", "left"),
        vote("q2", "b", "a", "tie"),
    ]
    found = rate(votes[:2], "a", "b")
    assert found is not None and math.isnan(found.stderr) and found.rate == 0.5
    seen = bias(votes)
    assert (seen.left, seen.decided, seen.share) == (2, 2, 1.0)
    assert (seen.low, seen.high) == wilson(2, 2)
    assert math.isnan(bias(votes[2:]).share)


def test_strengths_are_those_of_a_bradley_terry_model() -> None:
    """Against the maximum of the same posterior found by a general minimiser."""
    random = np.random.default_rng(3)
    true = {"a": 1.0, "b": 0.0, "c": -1.0}
    votes = []
    for row in range(60):
        one, other = random.permutation([*true])[:2]
        wins = random.random() < 1 / (1 + math.exp(true[other] - true[one]))
        choice: Choice = "tie" if row % 10 == 0 else "left" if wins else "right"
        votes.append(vote(f"q{row}", str(one), str(other), choice))
    found = strengths(votes)
    names = list(found)

    def loss(values: np.ndarray) -> float:
        place = {name: row for row, name in enumerate(names)}
        total = float((values**2).sum()) / (2 * PRIOR_SD**2)
        for each in votes:
            gap = values[place[each.ballot.left]] - values[place[each.ballot.right]]
            total -= -math.log1p(math.exp(-gap)) * each.score
            total -= -math.log1p(math.exp(gap)) * (1 - each.score)
        return total

    best = np.array([found[name][0] for name in names])
    for step in 1e-3 * np.eye(3):  # no direction that keeps the mean improves on it
        move = step - step.mean()
        assert loss(best) <= min(loss(best + move), loss(best - move))
    assert sum(value for value, _ in found.values()) == pytest.approx(0.0, abs=1e-9)
    assert found["a"][0] > found["b"][0] > found["c"][0]
    assert all(0.1 < error < 0.6 for _, error in found.values())
    always = strengths([vote(f"q{n}", "a", "b", "left") for n in range(50)])
    assert math.isfinite(always["a"][0]) and always["a"][0] > 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(2, 4), st.integers(0, 1000))
def test_every_order_of_every_question_comes_once_and_rounds_are_balanced(
    questions: int, points: int, seed: int
) -> None:
    names = [f"p{n}" for n in range(points)]
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    asked = [[f"q{n}" for n in range(questions)]] * len(pairs)
    deck = ballots(pairs, asked, seed)
    assert deck == ballots(pairs, asked, seed)
    assert len({*deck}) == len(deck) == 2 * questions * len(pairs)
    assert {each.turned for each in deck} == {*deck}
    half = len(deck) // 2
    assert len({(each.question, each.pair) for each in deck[:half]}) == half
    for pair in pairs:
        lefts = Counter(each.left for each in deck[:half] if each.pair == tuple(sorted(pair)))
        assert max(lefts.values()) - min(lefts.get(each, 0) for each in pair) <= 1
    if len(deck) > 2:
        assert all(b != a.turned for a, b in pairwise(deck))
    rest = ballots(pairs, asked, seed, deck[:3])
    assert rest == deck[3:]


def test_another_seed_asks_in_another_order() -> None:
    asked = [[f"q{n}" for n in range(12)]]
    assert ballots([("a", "b")], asked, 1) != ballots([("a", "b")], asked, 2)
