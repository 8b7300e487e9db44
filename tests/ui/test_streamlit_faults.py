"""Streamlit's faults on its own classes, and that each patch ends its fault."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests
from streamlit.runtime.state.session_state import SessionState, _CallbackRerunVotes

from ui import streamlit_faults as mending

EARLY = ForwardMsg.FINISHED_EARLY_FOR_RERUN
WHOLE = ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY


class Ending:
    """What is looked at of a session and of its thread."""

    def __init__(self) -> None:
        self._requests = ScriptRequests()
        self._execing = True
        self._scriptrunner: Ending | None = self
        self._event_loop = asyncio.get_running_loop()


def test_streamlit_starts_a_thread_beside_one_that_is_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once it does not, `wait_for_the_end` can go."""
    started: list[str] = []
    ask = inspect.unwrap(AppSession.request_rerun)
    runner = ScriptRunner.__new__(ScriptRunner)
    runner._requests, runner._execing = ScriptRequests(), False
    runner._join_wake_lock, runner._join_wake_coordinator = threading.Lock(), None
    runner._requests.request_stop()  # its thread is done; what it said is still on its way
    session = AppSession.__new__(AppSession)
    session._state, session._scriptrunner = AppSessionState.APP_IS_RUNNING, runner
    monkeypatch.setattr(session, "has_fragment", lambda name: True)
    monkeypatch.setattr(
        session, "_create_scriptrunner", lambda data: started.append(data.fragment_id)
    )
    assert mending._is_ending(session)
    ask(session, ClientState(fragment_id="header"))
    session._state = AppSessionState.SHUTDOWN_REQUESTED  # there is nothing to shut down
    assert started == ["header"]


def test_streamlit_runs_a_fragment_of_a_page_that_was_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once it does not, `stay_on_the_page` can go."""
    started: list[str] = []
    session = AppSession.__new__(AppSession)
    session.id, session._scriptrunner = "left", None
    session._state = AppSessionState.APP_IS_RUNNING
    session._client_state = ClientState()
    monkeypatch.setattr(session, "has_fragment", lambda name: True)
    monkeypatch.setattr(
        session, "_create_scriptrunner", lambda data: started.append(data.page_script_hash)
    )
    monkeypatch.setattr(mending, "_pages", OrderedDict())
    plain = inspect.unwrap(AppSession.request_rerun)
    late = ClientState(page_script_hash="explore", fragment_id="header")
    for ask in (plain, mending.stay_on_the_page(plain)):
        ask(session, ClientState(page_script_hash="export"))
        ask(session, late)
    session._state = AppSessionState.SHUTDOWN_REQUESTED  # there is nothing to shut down
    assert started == ["export", "explore", "export"]


def test_streamlit_ends_the_run_where_a_callback_raises() -> None:
    """Once it does not, `go_on` can go."""
    call = inspect.unwrap(SessionState._run_callback_and_record_rerun)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call(SessionState(), _CallbackRerunVotes(), fail)


def test_a_request_waits_in_turn_for_the_end_of_the_thread_before() -> None:
    taken: list[tuple[str, bool]] = []
    ask: Any = mending.wait_for_the_end(
        lambda session, state: taken.append((state.page_name, session._scriptrunner is None))  # type: ignore[union-attr, arg-type]
    )

    async def go() -> None:
        session = Ending()
        ask(session, ClientState(page_name="while it runs"))
        session._requests.request_stop()
        ask(session, ClientState(page_name="stopped by hand"))
        assert taken == [("while it runs", False), ("stopped by hand", False)]
        session._execing = False
        for name in ("one", "two"):
            ask(session, ClientState(page_name=name))
        await asyncio.sleep(0.02)
        assert len(taken) == 2
        session._scriptrunner = None
        ask(session, ClientState(page_name="three"))
        assert len(taken) == 2
        while len(taken) < 5:
            await asyncio.sleep(0.001)
        ask(session, ClientState(page_name="four"))
        assert taken[2:] == [(name, True) for name in ("one", "two", "three", "four")]

    # in a thread of its own: the driver of the journeys keeps a loop running in the main one
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(asyncio.wait_for(go(), 20))).result()


def test_a_message_that_fails_is_told_in_our_words() -> None:
    plain = inspect.unwrap(AppSession._create_exception_message)
    error = ValueError("somebody's /home")
    theirs = plain(None, error).delta.new_element
    assert theirs.HasField("exception")  # once it is not, `in_own_words` can go
    ours = mending.in_own_words(plain)(None, error).delta.new_element  # type: ignore[arg-type]
    assert ours.alert.body == mending.UNTAKEN and not ours.HasField("exception")


def element(fragment: str, place: int, words: str) -> ForwardMsg:
    message = ForwardMsg()
    message.metadata.delta_path.extend([0, place])
    message.delta.new_element.text.body = words
    message.delta.fragment_id = fragment
    return message


def waiting(*drawn: str) -> ForwardMsgQueue:
    """An element of each fragment, and the end of the run."""
    queue = ForwardMsgQueue()
    for place, fragment in enumerate(drawn):
        queue.enqueue(element(fragment, place, "old"))
    end = ForwardMsg()
    end.script_finished = WHOLE
    queue.enqueue(end)
    return queue


def told(queue: ForwardMsgQueue) -> list[str | int]:
    """What the browser hears, in order: words of elements, and ends."""
    return [
        each.delta.new_element.text.body if each.HasField("delta") else each.script_finished
        for each in queue.flush()
    ]


def test_what_waits_is_sent_before_what_a_fragment_says_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kind, name in ((ForwardMsgQueue, "clear"), (AppSession, "request_rerun")):
        monkeypatch.setattr(kind, name, inspect.unwrap(getattr(kind, name)))
    queue = waiting("header", "recipe")
    queue.clear(True, ["header"])
    assert told(queue) == ["old", EARLY]  # once it is not, `keep_what_waits` can go
    mending.mend()
    once = AppSession.request_rerun
    mending.mend()
    assert AppSession.request_rerun is once
    for again in (["header"], ["recipe"], ["header", "recipe"]):
        queue = waiting("header", "recipe")
        queue.clear(True, again)
        queue.enqueue(element("header", 0, "new"))
        assert told(queue) == ["old", "old", WHOLE, "new"]
    queue = waiting("header", "recipe")
    queue.clear(True)
    assert told(queue) == [EARLY]
