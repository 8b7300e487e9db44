"""Streamlit's faults with timers: what is heard of a click, and told of a run's end."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

from pages.parts import mending

EARLY = ForwardMsg.FINISHED_EARLY_FOR_RERUN
WHOLE = ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY


def said_by(*, timer: bool) -> ClientState:
    """Two clicks, a button that was not clicked, a slider."""
    found = ClientState(is_auto_rerun=timer)
    for name, value in (
        ("lock", {"trigger_value": True}),
        ("idle", {"trigger_value": False}),
        ("chart", {"json_trigger_value": '[{"event":"clicked"}]'}),
    ):
        found.widget_states.widgets.add(id=name, **value)  # type: ignore[arg-type]
    found.widget_states.widgets.add(id="slider").double_array_value.data.append(0.5)
    return found


def heard(state: ClientState | None) -> list[str] | None:
    """The widgets that Streamlit hears of."""
    taken: list[Any] = []
    mending.hear_once(lambda session, state: taken.append(state))(None, state)  # type: ignore[arg-type]
    [found] = taken
    return found and [each.id for each in found.widget_states.widgets]


def test_a_timer_brings_no_click() -> None:
    assert heard(said_by(timer=True)) == ["idle", "slider"]
    assert heard(said_by(timer=False)) == ["lock", "idle", "chart", "slider"]
    assert heard(None) is None


def waiting(*drawn: str) -> ForwardMsgQueue:
    """An element of each fragment, and the end of the run."""
    queue = ForwardMsgQueue()
    for place, fragment in enumerate(drawn):
        message = ForwardMsg()
        message.metadata.delta_path.extend([0, place])
        message.delta.new_element.text.body = fragment
        message.delta.fragment_id = fragment
        queue.enqueue(message)
    end = ForwardMsg()
    end.script_finished = WHOLE
    queue.enqueue(end)
    return queue


def told(queue: ForwardMsgQueue) -> int:
    [found] = [each for each in queue.flush() if each.WhichOneof("type") == "script_finished"]
    return found.script_finished


def test_an_end_stays_where_nothing_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, name in ((ForwardMsgQueue, "clear"), (AppSession, "request_rerun")):
        plain = getattr(kind, name)
        monkeypatch.setattr(kind, name, getattr(plain, "__wrapped__", plain))
    queue = waiting("recipe")
    queue.clear(True, ["header"])
    assert len(queue) == 2 and told(queue) == EARLY  # once it is not, `keep_ends` can go
    mending.mend()
    mending.mend()
    assert not hasattr(AppSession.request_rerun.__wrapped__, "__wrapped__")
    queue = waiting("recipe", "recipe")
    queue.clear(True, ["header"])
    assert len(queue) == 3 and told(queue) == WHOLE
    for again in (["recipe"], ["header", "recipe"], None):
        queue = waiting("recipe", "header")
        queue.clear(True, again)
        assert len(queue) < 3 and told(queue) == EARLY
