"""A question is asked once, answered once, and again where its answer may have been taken back."""

from __future__ import annotations

import pytest

from engine.errors import Cancelled
from engine.jobs.asking import Questions
from engine.worker.messages import Answer, Event

ANSWER = Answer(frozenset({"a"}), frozenset({"b"}), frozenset({"c"}))


def test_the_answer_is_waited_for_with_ticks() -> None:
    events: list[Event] = []
    questions = Questions(events.append)

    def tick() -> None:
        questions.answer(99, Answer())  # to nobody
        questions.answer(1, ANSWER)

    assert questions.ask("job", [{"a"}, {"c", "b"}], tick) == ANSWER
    (event,) = events
    assert event.data == {"question": 1, "wanted": [["a"], ["b", "c"]]}
    assert questions.asked == 1


def test_a_question_is_asked_again_where_a_nested_job_asked_meanwhile() -> None:
    events: list[Event] = []
    questions = Questions(events.append)
    nested = False

    def tick() -> None:
        nonlocal nested
        if not nested:
            nested = True
            questions.answer(1, ANSWER)  # granted, and then taken over by the nested job
            assert questions.ask("nested", [["a"]], lambda: questions.answer(2, ANSWER)) == ANSWER
        questions.answer(3, Answer())

    assert questions.ask("job", [["a"]], tick) == Answer()
    assert [event.job for event in events] == ["job", "nested", "job"]


def test_who_waits_can_be_cancelled_and_a_late_answer_is_dropped() -> None:
    questions = Questions(lambda event: None)

    def tick() -> None:
        raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        questions.ask("job", [["a"]], tick)
    questions.answer(1, ANSWER)
    assert questions.ask("job", [["a"]], lambda: questions.answer(2, Answer())) == Answer()
