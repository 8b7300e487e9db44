"""What pages show while points come: the clock and the jobs are given."""

from __future__ import annotations

from pages.parts.held import HOLD_SECONDS, Held

SWEEP = ("sweep", False)


def test_every_version_shows_at_once_while_no_sweep_runs() -> None:
    held = Held()
    assert [held.look(each, 0.0, [("interactive", False)]) for each in (1, 2, 3)] == [1, 2, 3]


def test_a_sweep_s_points_are_held_and_then_shown_together() -> None:
    held = Held()
    assert held.look(1, 10.0, [SWEEP]) == 1
    assert held.look(2, 10.1, [SWEEP]) == 1
    assert held.look(5, 10.0 + HOLD_SECONDS, [SWEEP]) == 5
    assert held.look(6, 10.1 + HOLD_SECONDS, [SWEEP]) == 5


def test_the_first_point_after_a_pause_is_not_held() -> None:
    held = Held()
    assert held.look(1, 10.0, [SWEEP]) == 1
    assert held.look(1, 20.0, [SWEEP]) == 1
    assert held.look(2, 20.1, [SWEEP]) == 2


def test_what_a_person_asked_for_shows_when_it_is_there() -> None:
    held = Held()
    assert held.look(1, 10.0, [SWEEP, ("interactive", False)]) == 1
    assert held.look(2, 10.1, [SWEEP, ("interactive", False)]) == 1
    assert held.look(3, 10.2, [SWEEP, ("interactive", True)]) == 3
    assert held.look(4, 10.3, [SWEEP, ("interactive", True)]) == 3


def test_the_newest_shows_where_it_must_and_the_end_of_a_sweep_shows_the_rest() -> None:
    held = Held()
    assert held.look(1, 10.0, [SWEEP]) == 1
    assert held.look(2, 10.1, [SWEEP], newest=True) == 2
    assert held.look(3, 10.2, [SWEEP]) == 2
    assert held.look(3, 10.3, [("sweep", True)]) == 3
