"""Late words of a browser, told from choices."""

from __future__ import annotations

from studio.points.late import LATE_SECONDS, Told


def test_what_was_replaced_is_late_for_a_while_and_then_a_choice() -> None:
    told = Told()
    told.replace("base", 0.0)
    assert told.is_late("base", 1.0) and told.is_late("base", 2.0)
    assert not told.is_late("base", LATE_SECONDS)


def test_what_the_browser_says_is_in_order() -> None:
    told = Told()
    for place, each in enumerate(("first", "second", "third")):
        told.replace(each, float(place) / 10)
    assert told.is_late("second", 1.0)  # it showed the first before that, and will not again
    assert not told.is_late("first", 1.0)


def test_a_choice_makes_all_before_it_choosable_again() -> None:
    told = Told()
    told.replace("one", 0.0)
    assert not told.is_late("other", 0.1)
    assert not told.is_late("one", 0.2)
