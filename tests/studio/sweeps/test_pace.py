"""Time left: by method, and honest while a sweep is parked."""

from __future__ import annotations

import pytest

from studio.sweeps.pace import Pace, duration


def test_until_a_point_is_measured_the_estimate_stands() -> None:
    pace = Pace(["a", "a", "b"], {"a": 2.0, "b": 10.0}, 0.0)
    pace.saw("running", 0, 1.0)
    assert pace.left == 14.0
    pace.saw("running", 0, 2.5)
    assert pace.left == 12.5  # of the first point's 2 s 1.5 have passed
    pace.saw("running", 0, 9.0)
    assert pace.left == 12.0  # a point that takes longer than expected never counts below 0


def test_points_that_were_measured_replace_the_estimate_of_their_method() -> None:
    pace = Pace(["a", "a", "a", "b"], {"a": 2.0, "b": 10.0}, 0.0)
    pace.saw("running", 0, 0.0)
    pace.saw("running", 1, 4.0)
    assert pace.points == {"a": 4.0, "b": 10.0}
    assert pace.left == 18.0


def test_several_points_between_two_looks_share_the_time() -> None:
    pace = Pace(["a", "b", "b"], {}, 0.0)
    pace.saw("running", 0, 0.0)
    assert pace.left is None
    pace.saw("running", 2, 6.0)
    assert pace.points == {"a": 3.0, "b": 3.0} and pace.left == 3.0


def test_time_spent_on_several_before_their_turn_is_shared_by_them() -> None:
    pace = Pace(["a"] * 6, {}, 0.0)
    pace.saw("running", 0, 0.0)
    pace.saw("running", 1, 3.0)
    assert pace.left == 15.0
    pace.saw("running", 1, 5.0, ahead=4)
    assert pace.left == 13.0
    pace.saw("running", 1, 7.0, ahead=4)
    pace.saw("running", 2, 8.0)
    assert pace.points == {"a": pytest.approx((3.0 + 1.0 + 1.0) / 2)}
    pace.saw("running", 5, 11.0)
    assert pace.points == {"a": pytest.approx((3.0 + 4.0 + 4.0) / 5)}
    assert pace.left == pytest.approx(2.2)
    pace.saw("running", 6, 14.0)
    assert pace.points == {"a": pytest.approx(14.0 / 6)}


def test_time_while_parked_or_waiting_does_not_count() -> None:
    pace = Pace(["a", "a"], {}, 0.0)
    pace.saw("queued", 0, 50.0)
    pace.saw("running", 0, 100.0)
    pace.saw("parked", 0, 101.0)
    pace.saw("parked", 0, 500.0)
    pace.saw("running", 0, 600.0)
    pace.saw("running", 1, 602.0)
    assert pace.active == 3.0
    assert pace.points == {"a": 3.0} and pace.left == 3.0
    pace.saw("done", 2, 604.0)
    assert pace.left == 0.0 and pace.active == 5.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.0 s"), (0.44, "0.4 s"), (9.96, "10 s"), (61.0, "61 s"), (366, "7 min"),
        (5999, "1 h 40 min"), (6001, "1 h 41 min"), (2 * 86400, "2 days"), (2.1 * 86400, "3 days"),
    ],
)  # fmt: skip
def test_durations_are_as_precise_as_they_are_of_use(seconds: float, words: str) -> None:
    assert duration(seconds) == words
