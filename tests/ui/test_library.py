"""plotly.js, by an address that names its version."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import plotly
from starlette.applications import Starlette

from ui import library


def asked(path: str, method: str = "GET") -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the server's answer."""
    said: list[dict[str, Any]] = []
    scope = {"type": "http", "path": path, "method": method, "headers": [], "query_string": b""}

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()  # whoever asks stays

    app = Starlette(routes=[library.route()])
    # in a thread of its own: the driver of the journeys keeps a loop running in the main one
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(app(scope, receive, send))).result()
    body = b"".join(each.get("body", b"") for each in said)
    return said[0]["status"], dict(said[0]["headers"]), body


def test_the_installed_version_is_given_to_be_kept_for_good() -> None:
    status, headers, body = asked(library.path())
    assert status == 200 and f"/{plotly.__version__}/" in library.path()
    assert headers[b"content-type"].startswith(b"text/javascript")
    assert b"immutable" in headers[b"cache-control"]
    assert len(body) > 4_000_000 and b"plotly.js" in body[:200]


def test_another_version_and_another_method_are_refused() -> None:
    assert asked(library.path().replace(plotly.__version__, "1.0.0"))[0] == 404
    assert asked(library.path(), "POST")[0] == 405
