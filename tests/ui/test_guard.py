"""Who is answered, who may frame, and what stands on every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from streamlit import config

from ui.guard import HEADERS, Guard, is_own

HERE = "127.0.0.1:8501"


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://127.0.0.1:8501", HERE, True),
        ("http://localhost:8501", HERE, True),
        ("http://127.0.0.1:8501", "localhost:8501", True),
        ("http://[::1]:8501", "localhost:8501", True),
        ("HTTP://LocalHost:8501", HERE, True),
        ("http://box.lan", "box.lan", True),
        ("https://box.lan", "box.lan:443", True),
        ("http://127.0.0.1:8502", HERE, False),
        ("http://localhost:80", HERE, False),
        ("http://localhost", HERE, False),
        ("https://box.lan", "box.lan:80", False),
        ("http://box.lan:8501", HERE, False),
        ("http://127.0.0.1.evil.example:8501", HERE, False),
        ("http://evil.example@127.0.0.1:8501", HERE, False),
        ("http://127.0.0.1:8501/x", HERE, False),
        ("http://127.0.0.1:nothing", HERE, False),
        ("http://", HERE, False),
        ("file://127.0.0.1:8501", HERE, False),
        ("null", HERE, False),
        ("", HERE, False),
    ],
)
def test_our_own_page_is_the_one_from_where_the_request_went(
    origin: str, host: str, own: bool
) -> None:
    assert is_own(origin, host) is own


def ask(
    app: Any,
    headers: dict[str, str | list[str]],
    kind: str = "http",
    extensions: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """The messages that a request of these headers brings back."""
    said: list[dict[str, Any]] = []
    raw = [
        (name.encode(), each.encode())
        for name, values in headers.items()
        for each in ([values] if isinstance(values, str) else values)
    ]
    scope = {"type": kind, "path": "/x", "headers": raw, "extensions": extensions or {}}

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        return {"type": f"{kind}.connect"}

    # in a thread of its own: the driver of the journeys keeps a loop running in the main one
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(Guard(app)(scope, receive, send))).result()
    return said


def answering(*messages: dict[str, Any]) -> Callable[..., Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for each in messages:
            await send(each)

    return app


PAGE = (
    {"type": "http.response.start", "status": 200,
     "headers": [(b"X-Frame-Options", b"ALLOWALL"), (b"content-type", b"text/html")]},
    {"type": "http.response.body", "body": b"hello"},
)  # fmt: skip
ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close", "code": 1008}
ABLE = {"websocket.http.response": {}}


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings that count, as .streamlit/config.toml has them."""
    settings = {"server.allowedHosts": ["localhost", "127.0.0.1"], "server.corsAllowedOrigins": []}
    real = config.get_option
    monkeypatch.setattr(
        config, "get_option", lambda name: settings[name] if name in settings else real(name)
    )
    return settings


def test_every_answer_says_who_may_frame_it() -> None:
    start, body = ask(answering(*PAGE), {"host": HERE})
    assert body["body"] == b"hello" and (b"content-type", b"text/html") in start["headers"]
    found = dict(start["headers"])
    assert len(found) == len(start["headers"]), "a header stands twice"
    assert found[b"x-frame-options"] == b"DENY"
    assert b"frame-ancestors 'none'" in found[b"content-security-policy"]
    assert found[b"x-content-type-options"] == b"nosniff" and b"referrer-policy" in found
    [accepted] = ask(answering(ACCEPT), {"host": HERE, "origin": f"http://{HERE}"}, "websocket")
    assert set(HEADERS) <= set(accepted["headers"])


@pytest.mark.parametrize(
    "headers",
    [
        {"host": HERE, "origin": "http://127.0.0.1:8502"},
        {"host": HERE, "origin": "null"},
        {"host": HERE, "origin": [f"http://{HERE}", "http://evil.example"]},
        {"host": "evil.example"},
        {"host": "evil.example", "origin": "http://evil.example"},
        {"host": [HERE, HERE]},
        {},
    ],
)
def test_others_are_refused_before_streamlit_hears_of_them(headers: dict[str, Any]) -> None:
    async def never(*_: Any) -> None:
        raise AssertionError("it was asked")

    for kind, extensions in (("http", {}), ("websocket", ABLE)):
        start, body = ask(never, headers, kind, extensions)
        assert start["status"] == 403 and set(HEADERS) <= set(start["headers"])
        assert body["body"].startswith(b"Paretoscope")
    assert ask(never, headers, "websocket") == [CLOSE]


def test_settings_name_further_hosts_and_origins(names: dict[str, Any]) -> None:
    behind = {"host": "box.lan", "origin": "https://box.lan"}
    renamed = {"host": HERE, "origin": "https://box.lan"}
    assert ask(answering(*PAGE), behind)[0]["status"] == 403
    names["server.allowedHosts"] = ["localhost", "127.0.0.1", "box.lan"]
    assert ask(answering(*PAGE), behind)[0]["status"] == 200
    assert ask(answering(*PAGE), renamed)[0]["status"] == 403
    names["server.corsAllowedOrigins"] = ["https://box.lan/"]
    assert ask(answering(*PAGE), renamed)[0]["status"] == 200


def test_a_refusal_of_streamlit_s_own_carries_the_headers_too() -> None:
    start, _ = ask(answering(CLOSE), {"host": HERE}, "websocket", ABLE)
    assert start["status"] == 403 and set(HEADERS) <= set(start["headers"])
    assert ask(answering(CLOSE), {"host": HERE}, "websocket") == [CLOSE]
    assert ask(answering(ACCEPT, CLOSE), {"host": HERE}, "websocket", ABLE)[-1] == CLOSE


def test_a_fault_of_the_server_is_answered_in_our_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(*_: Any) -> None:
        raise OSError("the disk is gone")

    start, body = ask(broken, {"host": HERE})
    assert start["status"] == 500 and b"disk" not in body["body"]
    assert set(HEADERS) <= set(start["headers"])
    assert "the disk is gone" in caplog.text
