"""What pages show while points come: the clock and the jobs are given."""

from __future__ import annotations

from studio.points.held import FEW, GONE_SECONDS, HOLD_SECONDS, Held


def three_pages() -> Held:
    """Pages a, b and c look at version 0 while many come."""
    held = Held()
    for page in "abc":
        held.here(page, 10.0)
    assert many(held) == 0
    return held


def many(held: Held) -> int:
    """As many at once as show at once, the last being version 0."""
    return [held.look(each, 10.0, ()) for each in range(1 - FEW, 1)][-1]


def one_drawn_and_two_waiting() -> Held:
    held = three_pages()
    assert held.turn("a", 10.0)
    assert not held.turn("b", 10.5) and not held.turn("c", 10.6)
    return held


def test_a_few_show_at_once() -> None:
    held = Held()
    versions = list(range(1, FEW + 1))
    assert [held.look(each, 10.0, ()) for each in versions] == versions
    again = [each + FEW for each in versions]
    assert [held.look(each, 10.0 + FEW * HOLD_SECONDS, ()) for each in again] == again


def test_many_are_held_and_then_shown_together() -> None:
    held = Held()
    assert many(held) == 0
    assert held.look(2, 10.1, ()) == 0
    assert held.look(5, 10.0 + HOLD_SECONDS, ()) == 5
    assert held.look(6, 10.1 + HOLD_SECONDS, ()) == 5
    assert held.look(7, 10.0 + 2 * HOLD_SECONDS, ()) == 7


def test_what_a_person_asked_for_and_the_end_of_a_sweep_show_when_they_are_there() -> None:
    held = Held()
    assert many(held) == 0
    assert held.look(2, 10.1, ()) == 0
    assert held.look(3, 10.2, ("a",)) == 3
    assert held.look(4, 10.3, ("a",)) == 3


def test_points_come_as_much_less_often_as_pages_are_open() -> None:
    held = three_pages()
    assert held.look(2, 9.9 + 3 * HOLD_SECONDS, ()) == 0
    assert held.look(2, 10.0 + 3 * HOLD_SECONDS, ()) == 2


def test_pages_draw_one_after_another() -> None:
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


def test_one_page_alone_waits_for_no_turn() -> None:
    held = Held()
    held.here("a", 10.0)
    assert held.turn("a", 10.0) and held.turn("a", 10.1)
