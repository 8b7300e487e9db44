"""What pages show while points come: the clock and the jobs are given."""

from __future__ import annotations

from studio.points.held import GONE_SECONDS, HOLD_SECONDS, Held

SWEEP = ("sweep", False)


def three_pages() -> Held:
    """Pages a, b and c look at version 1 while a sweep runs."""
    held = Held()
    for page in "abc":
        held.here(page, 10.0)
    assert held.look(1, 10.0, [SWEEP]) == 1
    return held


def one_drawn_and_two_waiting() -> Held:
    held = three_pages()
    assert held.turn("a", 10.0)
    assert not held.turn("b", 10.5) and not held.turn("c", 10.6)
    return held


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


def test_points_come_as_much_less_often_as_pages_are_open() -> None:
    held = three_pages()
    assert held.look(2, 9.9 + 3 * HOLD_SECONDS, [SWEEP]) == 1
    assert held.look(2, 10.0 + 3 * HOLD_SECONDS, [SWEEP]) == 2


def test_pages_draw_one_after_another_while_a_sweep_runs() -> None:
    held = one_drawn_and_two_waiting()
    late = 10.0 + HOLD_SECONDS
    assert not held.turn("a", late), "b waits longer"
    assert not held.turn("c", late)
    assert held.turn("b", late)
    assert not held.turn("c", late + 0.5)


def test_a_page_that_is_closed_keeps_nobody_waiting() -> None:
    held = one_drawn_and_two_waiting()
    later = 10.0 + 1.1 * GONE_SECONDS
    held.here("c", later)
    assert held.turn("c", later)


def test_a_page_that_a_person_had_drawn_keeps_nobody_waiting() -> None:
    held = one_drawn_and_two_waiting()
    held.level("b")
    assert held.turn("c", 10.0 + HOLD_SECONDS)


def test_one_page_alone_and_pages_at_rest_wait_for_no_turn() -> None:
    held = Held()
    held.here("a", 10.0)
    held.look(1, 10.0, [SWEEP])
    assert held.turn("a", 10.0) and held.turn("a", 10.1)
    held.here("b", 10.2)
    held.look(2, 10.2, [])
    assert held.turn("a", 10.2) and held.turn("b", 10.2)
