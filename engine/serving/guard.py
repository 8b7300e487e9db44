"""Who may ask: a layer around all responses, and how much a request may hold.

    Host the loopback's own? ──► key? ──► JSON? ──► at most 4 MB ──► the protocol

A page of the web that a browser on this machine shows can reach the loopback. It may not send JSON
to another origin without asking first, which this server never grants; and under a name of its own
that leads here (DNS rebinding) it is refused by `Host`. Behind a key the name is free: a page does
not know the key.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request

from engine.serving.refused import Refused

MOST_BYTES = 4_000_000
"""Of a body."""

BODY_SECONDS = 30.0
"""Within which it has to arrive."""


def check_access(request: Request, key: bytes | None) -> None:
    """Refuses who may not ask.

    Args:
        key: what clients have to know; None: any process of this machine may ask.

    Raises:
        Refused: 401 without the key, 403 under a foreign name.
    """
    if key is not None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not _equal(given.strip().encode("latin-1"), key):
            raise Refused(
                401, "the API key is missing or wrong: send Authorization: Bearer KEY",
                code="invalid_api_key", headers={"www-authenticate": "Bearer"},
            )  # fmt: skip
        return
    try:
        name = urlsplit(f"//{request.headers.get('host', '')}").hostname
        own = name == "localhost" or ipaddress.ip_address(name or "").is_loopback
    except ValueError:
        own = False
    if not own:
        raise Refused(403, "this server answers as 127.0.0.1 or localhost only", code="wrong_host")


def _equal(given: bytes, key: bytes) -> bool:
    """In a time that does not tell where they differ, nor how long the key is."""
    one, other = (hashlib.sha256(each).digest() for each in (given, key))
    return hmac.compare_digest(one, other)


async def json_body(request: Request) -> bytes:
    """The body of a request that says it is JSON.

    Raises:
        Refused: 415 another kind, 413 too large, 408 too slow, 400 not all of it came.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "send Content-Type: application/json", code="unsupported_media_type")
    too_large = Refused(413, f"the body has more than {MOST_BYTES} bytes", code="too_large")
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told[:20]) > MOST_BYTES:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                parts.append(part)
                size += len(part)
                if size > MOST_BYTES:
                    raise too_large
    except TimeoutError:
        raise Refused(408, "the body did not arrive in time", code="timeout") from None
    except ClientDisconnect:
        raise Refused(400, "the client has gone", code="disconnected") from None
    return b"".join(parts)
