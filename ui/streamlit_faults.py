"""Faults of Streamlit 1.67 that this app meets, each patched once a process.

tests/ui/test_streamlit_faults.py shows each on the real class; once it passes there without its
patch, the patch can go.

Elements that never arrive. A run's thread hands its elements to the server's loop one by one. A
request that the loop takes up when the thread is done but its elements are not yet all handed over
gets a new thread, and what the old one said last is dropped. Here the request waits for that, a few
milliseconds.

    thread of a click: elements, stops ──► loop:           ──► elements, stopped ──► fragment's run
    fragment:                  request ──►       it waits

A run of the page before. After a link was clicked the browser may still send what a fragment of the
page before asked for. Streamlit answers with a run of that page: seeing its name the browser
empties the page, and draws nothing but the fragment, or fails to. Here such a request is dropped.

    browser: link to Export ──► fragment of Explore ──► server: Export … Explore, the fragment alone

Elements thrown away. A fragment's run that starts discards what still waits in the session's queue:
elements of the same fragment, and the message that a run was complete. A run of the whole page that
is reported complete without a fragment's elements removes them from the page until the fragment
runs: a blink. A fragment's run that is reported as cut short leaves on the page what it no longer
drew, such as the focused slider beside its replacement. Here what waits is sent, and the run that
starts says newer things after it. (streamlit #9187, #16708 are of the same kind.)

    page:      elements, "finished" ──► queue of the session ──► browser
    fragment:                           "started", elements, "finished"

Streamlit's own error box. An exception raised while a message of the browser is taken up, before
any of our code runs, is shown as Streamlit shows exceptions; `on_script_error` is not asked. Here
it is an error in our words.

A page that is not drawn. An exception raised by a widget's callback ends the run before the page is
drawn: the browser keeps the error alone, at the top of the page. Here the error is kept, and the
whole page is drawn, which shows it (see unforeseen.py).
"""

from __future__ import annotations

import functools
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import streamlit as st
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType
from streamlit.runtime.state.session_state import SessionState

from ui import unforeseen

SOON = 0.001
"""Seconds after which a request looks again whether the thread before it is done."""

SESSIONS = 1000
"""Sessions whose page is known; the one that moved longest ago is forgotten first."""

UNTAKEN = (
    "The page's request could not be processed; the reason is on the server's standard error. "
    "Points measured so far are safe. Reload the page."
)

Create = Callable[[AppSession, BaseException], ForwardMsg]
Ask = Callable[[AppSession, ClientState | None], None]
Call = Callable[[SessionState, Any, Callable[[], None]], None]
Clear = Callable[[ForwardMsgQueue, bool, list[str] | None], None]


_pages: OrderedDict[str, str] = OrderedDict()


def on_page(session: str, page: str) -> None:
    """A browser session has asked for a page, or was led to it.

    Args:
        session: Streamlit's name of the session.
        page: Streamlit's name of the page.
    """
    _pages[session] = page
    _pages.move_to_end(session)
    while len(_pages) > SESSIONS:
        _pages.popitem(last=False)


def stay_on_the_page(ask: Ask) -> Ask:
    """`AppSession.request_rerun` that takes no fragment of a page that the session has left."""

    @functools.wraps(ask)
    def asked(session: AppSession, client_state: ClientState | None) -> None:
        if client_state is not None and client_state.page_script_hash:
            page = client_state.page_script_hash
            if not client_state.fragment_id:
                on_page(session.id, page)
            elif _pages.get(session.id, page) != page:
                return
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
        ask = stay_on_the_page(wait_for_the_end(AppSession.request_rerun))
        AppSession.request_rerun = ask  # type: ignore[method-assign,assignment]
        create = in_own_words(AppSession._create_exception_message)
        AppSession._create_exception_message = create  # type: ignore[method-assign,assignment]
        call = go_on(SessionState._run_callback_and_record_rerun)
        SessionState._run_callback_and_record_rerun = call  # type: ignore[method-assign,assignment]
