"""What a tab is told of what changed on the server."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.applications import Starlette

from ui import news
from ui.news import AGAIN_SECONDS, Channel, Tab


@pytest.fixture(autouse=True)
def channels(monkeypatch: pytest.MonkeyPatch) -> Iterator[OrderedDict[str, Channel]]:
    found: OrderedDict[str, Channel] = OrderedDict()
    monkeypatch.setattr(news, "_channels", found)
    yield found


def test_a_tab_is_told_once_of_what_it_does_not_show(
    channels: OrderedDict[str, Channel],
) -> None:
    stands = {"header": 1, "bar": 1}
    channels["a/header"] = Channel(lambda: stands["header"], 0.25)
    channels["a/bar"] = Channel(lambda: stands["bar"], 0.5)
    tab = Tab()
    tab.shows = {name: each.token() for name, each in channels.items()}
    assert tab.changed(0.0) == []
    stands["bar"] = 2
    assert tab.changed(0.4) == [], "not looked at again yet"
    assert tab.changed(0.5) == ["a/bar"]
    assert tab.changed(1.1) == [], "told"
    assert tab.changed(0.5 + AGAIN_SECONDS) == ["a/bar"], "it has not drawn it"
    tab.shows = {**tab.shows, "a/bar": channels["a/bar"].token()}
    assert tab.changed(10.0) == []
    stands["bar"] = 3
    assert tab.changed(11.0) == ["a/bar"]


def test_what_fails_and_what_is_not_known_are_to_be_drawn_again(
    channels: OrderedDict[str, Channel],
) -> None:
    errors: list[Exception] = []

    def look() -> int:
        if errors:
            raise errors[0]
        return 1

    channels["a/header"] = Channel(look, 0.25)
    tab = Tab()
    tab.shows = {"a/header": channels["a/header"].token()}
    assert tab.changed(0.0) == []
    errors.append(OSError("full"))
    assert tab.changed(1.0) == ["a/header"]
    tab.shows = {"a/of a server before": "t"}
    assert tab.changed(2.0) == ["a/of a server before"]
    assert tab.changed(2.5) == [] and tab.changed(3.0) == ["a/of a server before"]


def talk(*said: dict[str, Any], until: Callable[[list[Any]], bool]) -> list[dict[str, Any]]:
    """What the server sends to a tab that says this, and leaves once that is enough."""
    heard: list[dict[str, Any]] = []

    async def go() -> None:
        coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for each in ({"type": "websocket.connect"}, *said):
            coming.put_nowait(each)

        async def send(message: Any) -> None:
            heard.append(message)
            if until(heard):
                coming.put_nowait({"type": "websocket.disconnect", "code": 1001})

        scope = {"type": "websocket", "path": news.PATH, "headers": [], "query_string": b""}
        app = Starlette(routes=[news.route()])
        await asyncio.wait_for(app(scope, coming.get, send), 20)

    # in a thread of its own: the driver of the journeys keeps a loop running in the main one
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(go())).result()
    return heard


def test_the_server_talks_with_a_tab(channels: OrderedDict[str, Channel]) -> None:
    channels["a/header"] = Channel(lambda: 1, 0.0)
    channels["a/bar"] = Channel(lambda: 1, 0.0)
    shows = {"a/header": "older", "a/bar": channels["a/bar"].token()}
    heard = talk(
        {"type": "websocket.receive", "text": json.dumps(shows)},
        until=lambda heard: heard[-1]["type"] == "websocket.send",
    )
    assert [each["type"] for each in heard] == ["websocket.accept", "websocket.send"]
    assert json.loads(heard[1]["text"]) == ["a/header"]


@pytest.mark.parametrize(
    "said",
    [{"text": "[1]"}, {"text": "{"}, {"text": '{"a": 1}'}, {"bytes": b"\0"}, {"text": "9" * 5000}],
)
def test_a_tab_that_says_nonsense_is_left(said: dict[str, Any]) -> None:
    heard = talk({"type": "websocket.receive", **said}, until=lambda heard: len(heard) == 2)
    assert [each["type"] for each in heard] == ["websocket.accept", "websocket.close"]
    assert heard[1]["code"] == 1003


def test_a_tab_that_cannot_be_told_is_left_so_that_it_comes_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(tab: Tab, now: float) -> list[str]:
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(Tab, "changed", fail)
    heard = talk(until=lambda heard: len(heard) == 2)
    assert [each["type"] for each in heard] == ["websocket.accept", "websocket.close"]
    assert heard[1]["code"] == 1011
    assert "a tab cannot be told what changed" in caplog.text
