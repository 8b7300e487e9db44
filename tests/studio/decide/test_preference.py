"""Weights that sum to one, whatever moves; and their texts."""

from __future__ import annotations

import random

import pytest

from studio.decide.preference import (
    Preference,
    apportion,
    equal,
    from_text,
    placed,
    rebalanced,
    to_text,
)

NAMES = ("facts", "manners", "loss")


def weights(*hundredths: int, locked: tuple[str, ...] = ()) -> Preference:
    pairs = zip(("facts", "manners", "loss", "cost", "kl"), hundredths, strict=False)
    return Preference({name: each / 100 for name, each in pairs}, frozenset(locked))


def test_weights_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to one"):
        weights(50, 49)


def test_equal_weights_round_the_earlier_ones_up() -> None:
    assert equal(NAMES).hundredths == {"facts": 34, "manners": 33, "loss": 33}
    assert list(equal([f"o{i}" for i in range(7)]).hundredths.values()) == [15, 15, *[14] * 5]


@pytest.mark.parametrize(
    ("shares", "total", "found"),
    [
        ([1, 1, 1], 100, [34, 33, 33]),
        ([0, 0], 5, [3, 2]),
        ([0, 3], 5, [0, 5]),
        ([0.29, 0.71], 100, [29, 71]),  # 0.29 · 100 is 28.999999999999996
        ([2, 1], 100, [67, 33]),
        ([5], 100, [100]),
    ],
)
def test_apportioned_by_largest_remainder(
    shares: list[float], total: int, found: list[int]
) -> None:
    assert apportion(shares, total) == found


def test_the_others_keep_their_proportion_when_one_is_moved() -> None:
    moved = rebalanced(weights(25, 50, 25), "facts", 0.4)
    assert moved.hundredths == {"facts": 40, "manners": 40, "loss": 20}


def test_the_others_share_evenly_where_they_had_nothing() -> None:
    moved = rebalanced(weights(100, 0, 0), "facts", 0.5)
    assert moved.hundredths == {"facts": 50, "manners": 25, "loss": 25}


def test_a_locked_weight_stays_and_limits_what_can_be_moved() -> None:
    start = weights(30, 50, 20, locked=("loss",))
    assert rebalanced(start, "facts", 0.6).hundredths == {"facts": 60, "manners": 20, "loss": 20}
    assert rebalanced(start, "facts", 0.95).hundredths == {"facts": 80, "manners": 0, "loss": 20}
    assert rebalanced(start, "loss", 0.9) is start


def test_nothing_moves_where_all_others_are_locked() -> None:
    start = weights(30, 50, 20, locked=("loss", "manners"))
    assert rebalanced(start, "facts", 0.6) is start
    assert placed(start.lock("facts", True), {}) == start.lock("facts", True)


def test_whatever_is_moved_the_sum_is_exact_and_locks_hold() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        count = chance.randint(2, 5)
        cuts = sorted(chance.randint(0, 100) for _ in range(count - 1))
        parts = [b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True)]
        start = weights(*parts)
        for name in start.names:
            start = start.lock(name, chance.random() < 0.3)
        name, value = chance.choice(start.names), chance.uniform(-0.1, 1.1)
        asked = {each: chance.random() for each in start.names}
        for after in (rebalanced(start, name, value), placed(start, asked)):
            found = after.hundredths
            assert sum(found.values()) == 100 and min(found.values()) >= 0
            assert list(found) == list(start.names) and after.locked == start.locked
            assert all(found[each] == start.hundredths[each] for each in start.locked)
            assert all(after.weights[each] == found[each] / 100 for each in found)
        room = 100 - sum(start.hundredths[each] for each in start.locked - {name})
        if name not in start.locked and start.locked | {name} != set(start.names):
            wanted = min(max(round(value * 100), 0), room)
            assert rebalanced(start, name, value).hundredths[name] == wanted


def test_step_by_step_one_way_and_back_never_drifts_from_one() -> None:
    now = equal(NAMES)
    for step in [*range(35, 101), *range(99, -1, -1)]:
        now = rebalanced(now, "facts", step / 100)
        assert now.hundredths["facts"] == step
        assert 0 <= now.hundredths["manners"] - now.hundredths["loss"] <= 1


def test_all_moved_at_once_keep_what_is_locked() -> None:
    start = weights(30, 50, 20, locked=("loss",))
    found = placed(start, {"facts": 0.2, "manners": 0.2, "loss": 0.6})
    assert found.hundredths == {"facts": 40, "manners": 40, "loss": 20}


def test_as_text_and_back() -> None:
    start = weights(50, 30, 20)
    assert to_text(start) == "facts:0.50,manners:0.30,loss:0.20"
    assert from_text(to_text(start), NAMES) == start


def test_a_text_is_scaled_and_may_leave_some_out() -> None:
    found = from_text("loss:2,facts:1", NAMES)
    assert found is not None
    assert found.hundredths == {"facts": 33, "manners": 0, "loss": 67}


@pytest.mark.parametrize(
    "text",
    ["", "facts", "facts:x", "facts:nan", "facts:-1", "cost:1", "facts:1,facts:1", "facts:0",
     "facts:1e308,loss:1e308"],
)  # fmt: skip
def test_what_is_no_preference_is_none(text: str) -> None:
    assert from_text(text, NAMES) is None
