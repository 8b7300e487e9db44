from __future__ import annotations

import math
import threading

import pytest

from engine.worker.messages import Event, Message, unpack
from engine.worker.outbox import Outbox
from tests.engine.worker.clock import Clock


@pytest.fixture
def outbox(clock: Clock) -> Outbox:
    return Outbox(clock=clock)


def taken(outbox: Outbox) -> list[Message]:
    return [unpack(frame) for frame in outbox.due()[0]]


def progress(done: int, job: str = "j") -> Event:
    return Event("progress", job, {"done": done})


def row(name: str) -> Event:
    return Event("result", "j", {"row": {"id": name}})


def test_of_progress_the_latest_goes_ten_times_a_second(outbox: Outbox, clock: Clock) -> None:
    outbox.put(progress(1))
    assert taken(outbox) == [progress(1)]
    outbox.put(progress(2))
    outbox.put(progress(3))
    clock.now = 0.04
    frames, wait = outbox.due()
    assert frames == [] and wait == pytest.approx(0.06)
    clock.now = 0.11
    assert taken(outbox) == [progress(3)]
    assert outbox.due() == ([], None)


def test_jobs_are_thinned_apart(outbox: Outbox) -> None:
    outbox.put(progress(1, "a"))
    outbox.put(progress(1, "b"))
    assert len(taken(outbox)) == 2


def test_texts_of_all_outputs_share_a_message(outbox: Outbox, clock: Clock) -> None:
    for index, text in (("0", "a"), ("1", "b"), ("0", "a c")):
        outbox.put(Event("text", "j", {"texts": {index: text}}))
    assert taken(outbox) == [Event("text", "j", {"texts": {"0": "a c", "1": "b"}})]
    outbox.put(Event("text", "j", {"texts": {"1": "b d"}}))
    assert taken(outbox) == []
    clock.now = 0.031
    assert taken(outbox) == [Event("text", "j", {"texts": {"1": "b d"}})]


def test_the_last_progress_goes_before_the_end(outbox: Outbox) -> None:
    outbox.put(progress(1))
    outbox.due()
    outbox.put(progress(2))
    outbox.put(Event("done", "j"))
    assert taken(outbox) == [progress(2), Event("done", "j")]
    assert outbox.due() == ([], None)


def test_all_others_go_at_once_and_in_order(outbox: Outbox) -> None:
    said = [row("a"), Event("claim", "j", {"question": 1}), row("b"), Event("done", "j")]
    for each in said:
        outbox.put(each)
    assert taken(outbox) == said and outbox.due() == ([], None)


@pytest.mark.parametrize("kind", ["progress", "done", "result"])
def test_what_cannot_be_said_is_refused_where_it_is_put(outbox: Outbox, kind: str) -> None:
    with pytest.raises(ValueError):
        outbox.put(Event(kind, "j", {"mean": math.nan}))  # type: ignore[arg-type]
    assert outbox.due() == ([], None)


def test_waiting_until_sent_has_an_end(outbox: Outbox) -> None:
    outbox.put(row("a"))
    outbox.wait_until_sent(0.01)
    waiting = threading.Thread(target=outbox.wait_until_sent, args=(60.0,), daemon=True)
    waiting.start()
    outbox.due()
    waiting.join(0.05)
    assert waiting.is_alive()  # on its way, and not yet sent
    outbox.sent()
    waiting.join(30)
    assert not waiting.is_alive()
