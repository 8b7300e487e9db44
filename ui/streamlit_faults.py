"""Faults of Streamlit 1.67, mended once a process. Three are brought out by fragments with a timer.

A click heard twice. A timer in the browser sends all that widgets say, with it a click that is
about to be sent by itself, and is then sent again: what toggles is back where it was.

    click ──► kept ──────────────► sent ──► callback, again
              timer: sent with it ────────► callback

Elements that never arrive. A run's thread hands its elements to the server's loop one by one. A
request that the loop takes up when the thread is through, and they are not, gets a new thread; what
the old one said last is then dropped. Here it waits for that, a few milliseconds.

    thread of a click: elements, stops ──► loop:           ──► elements, stopped ──► timer's run
    timer:                     request ──►       it waits

What a run has said, thrown away. A fragment's run that starts throws away what still waits in the
queue of the session: elements of the same fragment, and the word that a run was whole. A run of the
whole page that is told as whole without a fragment's elements takes these off the page until the
fragment's own run brings them back: a blink. A fragment's run that is told as cut short leaves on
the page what it no longer drew, such as the slider that had the focus beside the one in its place.
Here what waits is sent: the run that starts says newer things after it. (streamlit #9187, #16708
are of the same kind.)

    page:    elements, "finished" ──► queue of the session ──► browser
    timer:                             "started", elements, "finished"

A box that is Streamlit's own. What fails while a message of the browser is taken up, before any of
our code runs, is shown as Streamlit shows exceptions; `on_script_error` is not asked. Here it is
an error in our words.

A page that is not drawn. What a widget's callback raises ends the run before the page is drawn: the
browser keeps the error alone, at the page's top, and the next timer puts its fragment in its place.
Here the error is kept, and the whole page is drawn, which tells it (see unforeseen.py).
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import streamlit as st
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType
from streamlit.runtime.state.session_state import SessionState

from ui import unforeseen

TRIGGERS = ("trigger_value", "string_trigger_value", "chat_input_value", "json_trigger_value")

SOON = 0.001
"""Seconds after which a request looks again whether the thread before it is done."""

UNTAKEN = (
    "What this page sent could not be taken up; the reason is on the server's standard error. "
    "Points measured so far are safe. Reload the page."
)

Create = Callable[[AppSession, BaseException], ForwardMsg]
Ask = Callable[[AppSession, ClientState | None], None]
Call = Callable[[SessionState, Any, Callable[[], None]], None]
Clear = Callable[[ForwardMsgQueue, bool, list[str] | None], None]


def _is_click(state: WidgetState) -> bool:
    kind = state.WhichOneof("value")
    return kind in TRIGGERS and bool(getattr(state, kind))


def hear_once(ask: Ask) -> Ask:
    """`AppSession.request_rerun` that takes no click from a timer: it comes by itself."""

    @functools.wraps(ask)
    def asked(session: AppSession, client_state: ClientState | None) -> None:
        if client_state is not None and client_state.is_auto_rerun:
            said = client_state.widget_states.widgets
            for place in reversed([i for i, each in enumerate(said) if _is_click(each)]):
                del said[place]
        ask(session, client_state)

    return asked


def _is_ending(session: AppSession) -> bool:
    """Whether the session's thread is through, and what it said is not yet all heard."""
    runner = session._scriptrunner
    stopped = runner is not None and runner._requests._state is ScriptRequestType.STOP
    return runner is not None and stopped and not runner._execing


def wait_for_the_end(ask: Ask) -> Ask:
    """`AppSession.request_rerun` that waits while the thread before is ending, in turn."""
    waiting: WeakKeyDictionary[AppSession, deque[ClientState | None]] = WeakKeyDictionary()

    def answer(session: AppSession) -> None:
        line = waiting[session]
        while line and not _is_ending(session):
            ask(session, line.popleft())
        if line:
            session._event_loop.call_later(SOON, answer, session)

    @functools.wraps(ask)
    def asked(session: AppSession, client_state: ClientState | None) -> None:
        line = waiting.setdefault(session, deque())
        line.append(client_state)
        if len(line) == 1:
            answer(session)

    return asked


def keep_what_waits(clear: Clear) -> Clear:
    """`ForwardMsgQueue.clear` that throws nothing away when a fragment's run starts."""

    @functools.wraps(clear)
    def cleared(
        queue: ForwardMsgQueue,
        retain_lifecycle_msgs: bool = False,
        fragment_ids_this_run: list[str] | None = None,
    ) -> None:
        if fragment_ids_this_run:
            queue._delta_index_map = {}  # what comes now stands behind this run's start
        else:
            clear(queue, retain_lifecycle_msgs, fragment_ids_this_run)

    return cleared


def in_own_words(create: Create) -> Create:
    """`AppSession._create_exception_message` that makes an error of ours of an exception."""

    @functools.wraps(create)
    def created(session: AppSession, error: BaseException) -> ForwardMsg:
        message = ForwardMsg()
        alert = message.delta.new_element.alert
        alert.body, alert.format = UNTAKEN, Alert.ERROR
        return message

    return created


def go_on(call: Call) -> Call:
    """`SessionState._run_callback_and_record_rerun` that keeps what a callback raises, and asks for
    the whole page."""

    @functools.wraps(call)
    def called(state: SessionState, votes: Any, run: Callable[[], None]) -> None:
        def kept() -> None:
            try:
                run()
            except Exception as error:
                unforeseen.keep(error)
                st.rerun()

        call(state, votes, kept)

    return called


def mend() -> None:
    """Put all in their place; a second call does nothing."""
    if not hasattr(ForwardMsgQueue.clear, "__wrapped__"):
        ForwardMsgQueue.clear = keep_what_waits(ForwardMsgQueue.clear)  # type: ignore[method-assign,assignment]
        ask = wait_for_the_end(hear_once(AppSession.request_rerun))
        AppSession.request_rerun = ask  # type: ignore[method-assign,assignment]
        create = in_own_words(AppSession._create_exception_message)
        AppSession._create_exception_message = create  # type: ignore[method-assign,assignment]
        call = go_on(SessionState._run_callback_and_record_rerun)
        SessionState._run_callback_and_record_rerun = call  # type: ignore[method-assign,assignment]
