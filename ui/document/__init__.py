"""The document that every page starts as: Streamlit's own, with ours in its head.

    browser ──► Guard ──► Document ──► Streamlit: index.html ──► + title, style, scripts

It is visible before the server has answered, so it says what the user is waiting for; it contains
what must exist before Streamlit's scripts run, and plotly.js, which the browser loads while it
waits for the first page.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui import library

HERE = Path(__file__).parent
OURS = ("start.css", "history.js", "lists.js")
TITLE = b"<title>Streamlit</title>"
CHANGED = (b"content-length", b"etag", b"last-modified", b"content-encoding")
"""Headers that are not true of the document any more."""


@cache
def head() -> bytes:
    """What stands in the head in place of Streamlit's title."""
    style, *scripts = ((HERE / name).read_text("utf-8") for name in OURS)
    script = "\n".join(scripts)
    told = 'onload="this.id = String()" onerror="this.remove()"'
    plotly = f'<script async id="plotly" src="{library.path()}" {told}></script>'
    own = f"<style>{style}</style><script>{script}</script>"
    return f"<title>Paretoscope</title>{own}{plotly}".encode()


class Document:
    """The layer that puts `head` into each document; all other answers pass as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not _asks_for_html(scope):
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def answer(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_html(message):
                start = message
            elif start is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await _send_document(start, body, send)

        plain = [each for each in scope["headers"] if each[0] not in ASKING_SHORT]
        await self.app({**scope, "headers": plain}, receive, answer)


ASKING_SHORT = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
"""Headers of a request that ask for less than the whole text."""


def _asks_for_html(scope: Scope) -> bool:
    return any(key == b"accept" and b"text/html" in value for key, value in scope["headers"])


def _is_html(message: Message) -> bool:
    headers = dict(message.get("headers") or ())
    return message["status"] == 200 and headers.get(b"content-type", b"").startswith(b"text/html")


async def _send_document(start: Message, body: bytes, send: Send) -> None:
    body = body.replace(TITLE, head(), 1)
    kept = [each for each in start["headers"] if each[0].lower() not in CHANGED]
    kept.append((b"content-length", str(len(body)).encode()))
    await send({**start, "headers": kept})
    await send({"type": "http.response.body", "body": body})
