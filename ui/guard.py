"""Who may access the server, and who may frame it: a layer around all responses.

    browser ──► Host allowed? ──► Origin our own? ──► Streamlit ──► answer + HEADERS

Every page on this machine can reach a server on the loopback, and every page of the web that a
browser here shows can too. A browser says in `Origin` whose page asks. It is our own where it
names the place that the request went to; `localhost` and `127.0.0.1` are one machine, so with the
same port they are one place. Streamlit itself asks this of the websocket only, and takes any port
of the loopback for its own.

Settings of Streamlit that widen this, for an app that is served to others: `server.allowedHosts`
(names under which it is reached) and `server.corsAllowedOrigins` (whole origins, where a proxy
changes the name).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

POLICY = "; ".join(
    (
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-src 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from elsewhere, nobody's frame. Streamlit's page and plotly build scripts and styles."""

HEADERS = (
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

STARTS = ("http.response.start", "websocket.http.response.start", "websocket.accept")


def _place(address: str, scheme: str) -> tuple[str, int] | None:
    """(name, port) of an address without its scheme; None if it is none. The loopback has one
    name."""
    try:
        parts = urlsplit(f"//{address}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.netloc != address or parts.username is not None:
        return None
    name = name.rstrip(".")
    port = PORTS.get(scheme, 80) if port is None else port
    return "localhost" if name in LOOPBACK else name, port


def is_own(origin: str, host: str, allowed: Iterable[str] = ()) -> bool:
    """Whether a page of this origin is our own page.

    Args:
        origin: the header of the request, such as "http://127.0.0.1:8501"; "null" is a page that
            hides whose it is.
        host: the place that the request went to, such as "localhost:8501".
        allowed: further origins.
    """
    origin = origin.strip().lower()
    if origin in {each.strip().rstrip("/").lower() for each in allowed}:
        return True
    scheme, separator, rest = origin.partition("://")
    asking = _place(rest, scheme) if separator and scheme in ("http", "https") else None
    return asking is not None and asking == _place(host.strip().lower(), scheme)


def refusal(host: str | None, origins: list[str]) -> str | None:
    """Why a request is not answered, in words for whoever asked; None if it is."""
    from streamlit import config
    from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

    if not is_host_allowed(host):
        return (
            "Paretoscope does not serve this host name. Open it at the address it was started "
            "with, or add the name to server.allowedHosts."
        )
    allowed = config.get_option("server.corsAllowedOrigins")
    if any(not is_own(each, host or "", allowed) for each in origins):
        return "Paretoscope only serves its own pages: this request came from another origin."
    return None


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


class Guard:
    """The layer: refuses with 403 what is not ours, and puts `HEADERS` on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "websocket.close" and not started and _can_tell(scope):
                await _refuse(scope, answer, "Refused.")
                return
            if message["type"] in STARTS:
                started = True
                said = message.get("headers") or ()
                kept = [each for each in said if each[0].lower() not in dict(HEADERS)]
                message = {**message, "headers": [*kept, *HEADERS]}
            await send(message)

        hosts = _values(scope, b"host")
        reason = refusal(hosts[0] if len(hosts) == 1 else None, _values(scope, b"origin"))
        if reason is not None:
            log.warning("refused %s: %s", scope["path"], reason)
            await _refuse(scope, answer, reason)
            return
        try:
            await self.app(scope, receive, answer)
        except Exception:
            if started or scope["type"] == "websocket":
                raise
            log.exception("%s failed", scope["path"])
            await _refuse(scope, answer, "The request failed; the reason was logged.", 500)


def _can_tell(scope: Scope) -> bool:
    """Whether the handshake of a websocket can be refused with an answer of our own."""
    return "websocket.http.response" in (scope.get("extensions") or {})


async def _refuse(scope: Scope, send: Send, reason: str, status: int = 403) -> None:
    """Answer with a line of text, a websocket's handshake too."""
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    if scope["type"] == "websocket" and not _can_tell(scope):
        await send({"type": "websocket.close", "code": 1008})
        return
    body = f"{reason}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
