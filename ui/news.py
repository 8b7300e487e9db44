"""Tells a browser what has changed on the server, so that it draws that part of the page again.

    fragment   listen("header", look) ──► a channel, and the token of what `look` returned just now
    browser    one websocket a tab    ──► {channel: token} of every fragment on the page
    server     looks for each tab; where the token is another one: [channel] ──► the fragment's run

No timer runs in the browser and nothing is sent while nothing changes. A fragment that was told and
did not draw itself again (its run was cut short by another) is told again. What `look` raises is a
change too: the fragment runs, meets the same error, and shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ui.components import declare

log = logging.getLogger(__name__)

PATH = "/news"
STEP_SECONDS = 0.05
"""How often a tab's channels are gone through; each is looked at as often as it asked for."""
AGAIN_SECONDS = 1.0
"""After which a fragment is told again what it has not drawn."""
CHANNELS = 1024
"""Channels kept, of all tabs; a page has at most a handful. The oldest goes first."""
MOST = 4096
"""Characters of a message that a tab may send."""

Look = Callable[[], object]


@dataclass(frozen=True)
class Channel:
    """What one fragment of one tab shows: `look` is asked for it every `seconds`."""

    look: Look
    seconds: float

    def token(self) -> str:
        """Another one for every other thing to show."""
        try:
            said = repr(self.look())
        except Exception as error:
            log.info("a fragment will fail: %s", error)
            said = f"failed: {error!r}"
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


_channels: OrderedDict[str, Channel] = OrderedDict()


@cache
def _component() -> Callable[..., Any]:
    return declare("news")


def _nothing() -> None:
    """The run that the message causes is all that is wanted."""


def listen(key: str, look: Look, seconds: float = 0.25) -> None:
    """Have the fragment that this is called in run again when `look` returns something else.

    Args:
        key: names the fragment within the page.
        look: returns what the fragment shows, as values whose `repr` tells them apart; called
            outside of any run of a page, in another thread, so it must not use `st`.
        seconds: between two looks.
    """
    session = st.session_state.setdefault("news", uuid.uuid4().hex)
    name = f"{session}/{key}"
    channel = Channel(look, seconds)
    _channels[name] = channel
    _channels.move_to_end(name)
    while len(_channels) > CHANNELS:
        _channels.popitem(last=False)
    data = {"path": PATH, "channel": name, "token": channel.token()}
    _component()(key=f"news:{key}", data=data, on_came_change=_nothing)


class Tab:
    """What one tab shows, and what it was told."""

    def __init__(self) -> None:
        self.shows: Mapping[str, str] = {}
        self._looked: dict[str, float] = {}
        self._told: dict[str, tuple[str, float]] = {}

    def changed(self, now: float) -> list[str]:
        """The channels whose fragments have something else to show.

        Args:
            now: seconds, monotonic.
        """
        return [name for name, token in self.shows.items() if self._differs(name, token, now)]

    def _differs(self, name: str, token: str, now: float) -> bool:
        told, since = self._told.get(name, ("", 0.0))
        if told == token and now - since < AGAIN_SECONDS:
            return False
        channel = _channels.get(name)
        if channel is not None:
            if now - self._looked.get(name, float("-inf")) < channel.seconds:
                return False
            self._looked[name] = now
            if channel.token() == token:
                return False
        self._told[name] = token, now
        return True


def shown(text: str) -> dict[str, str]:
    """What a tab says that it shows: channel -> token. Raises `ValueError` where it is not that."""
    found = json.loads(text) if len(text) <= MOST else None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise ValueError("not a map of channels to tokens")
    return found


async def serve(socket: WebSocket) -> None:
    """Talk with one tab until it leaves."""
    await socket.accept()
    tab = Tab()
    telling = asyncio.create_task(_tell(socket, tab))
    try:
        while True:
            tab.shows = shown(await socket.receive_text())
    except WebSocketDisconnect:
        pass
    except (ValueError, KeyError):  # a frame of bytes has no text
        await socket.close(1003)
    finally:
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling


async def _tell(socket: WebSocket, tab: Tab) -> None:
    """Look and tell until the tab leaves; one that cannot be told is left, and comes again."""
    try:
        while True:
            await asyncio.sleep(STEP_SECONDS)
            changed = await run_in_threadpool(tab.changed, time.monotonic())
            if changed and socket.application_state is WebSocketState.CONNECTED:
                await socket.send_text(json.dumps(changed))
    except WebSocketDisconnect:
        return  # it left while it was told
    except Exception:
        log.exception("a tab cannot be told what changed")
        await socket.close(1011)


def route() -> WebSocketRoute:
    """For the server, beside those of Streamlit."""
    return WebSocketRoute(PATH, serve)
