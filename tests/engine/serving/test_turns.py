"""Several requests on one model thread: who goes away, who is slow or too late, who fails."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import openai
import pytest
import torch

from engine.decoding.batch import Batch
from engine.serving import turns as serving_turns
from engine.serving.together import Together
from engine.serving.writing import certain
from tests.engine.serving.conftest import Running, Serve

PATIENCE = 20.0
LONG = {"temperature": 2.0, "seed": 12, "max_tokens": 450}
"""A request of 109 steps, by the seed."""


def until(true: Callable[[], bool]) -> float:
    """Seconds until something is true."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < PATIENCE
        time.sleep(0.002)
    return time.monotonic() - start


@pytest.fixture
def slow(logit: Running, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Each step takes 20 ms or more; when they were taken."""
    taken: list[float] = []
    feed = Batch.feed

    def slower(batch: Batch, *given: Any, **more: Any) -> torch.Tensor:
        time.sleep(0.02)
        taken.append(time.monotonic())
        return feed(batch, *given, **more)

    monkeypatch.setattr(Batch, "feed", slower)
    return taken


def connect(server: Running, **ask: Any) -> socket.socket:
    """A request on a connection of its own, nothing read of the answer."""
    body = json.dumps({**server.ask, **ask}).encode()
    host, port = server.root.removeprefix("http://").split(":")
    made = socket.socket()
    made.settimeout(PATIENCE)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # an answer soon finds it full
    made.connect((host, int(port)))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
    made.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
    return made


@pytest.mark.parametrize("stream", [True, False])
def test_who_goes_away_is_not_written_for(logit: Running, slow: list[float], stream: bool) -> None:
    with connect(logit, **LONG, stream=stream):
        until(lambda: len(slow) > 2)
        assert logit.turns.taken == 1
    left = time.monotonic()
    assert until(lambda: logit.turns.taken == 0) < 0.5
    time.sleep(0.1)
    assert sum(each > left + 0.1 for each in slow) == 0  # no step 100 ms later


def test_the_client_closes_a_stream(logit: Running, slow: list[float]) -> None:
    stream = logit.client.chat.completions.create(**logit.ask, **LONG, stream=True)
    assert next(iter(stream)).choices
    until(lambda: len(slow) > 2)
    stream.close()
    assert until(lambda: logit.turns.taken == 0) < 0.5


def test_who_reads_nothing_holds_up_nobody(logit: Running) -> None:
    with connect(logit, **LONG, stream=True, logprobs=True, top_logprobs=20, n=4):
        until(lambda: logit.turns.taken == 1)
        found = logit.client.chat.completions.create(**logit.ask, max_tokens=5)
        assert found.choices[0].message.content
        until(lambda: logit.turns.taken == 0)  # it is written to its end, unread


def test_one_too_many_is_told_to_come_again(serve: Serve, slow: list[float]) -> None:
    server = serve("logit", at_once=1, waiting=1)
    with connect(server, **LONG) as first, connect(server, **LONG) as second:
        until(lambda: server.turns.taken == 2)
        with pytest.raises(openai.RateLimitError) as caught:
            server.client.chat.completions.create(**server.ask)
        assert caught.value.code == "rate_limit_exceeded"
        assert caught.value.response.headers["retry-after"] == "1"
        second.close()  # one that waits gives its place back at once
        until(lambda: server.turns.taken == 1)
        first.close()
        assert server.client.chat.completions.create(**server.ask, max_tokens=2).choices


def test_others_go_on_while_a_prompt_is_read(
    logit: Running, slow: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt of four chunks: between them a request that writes takes steps."""
    monkeypatch.setattr("engine.decoding.batch.PREFILL_TOKENS", 64)
    monkeypatch.setattr(serving_turns, "READING_SECONDS", 0.0)
    order: list[tuple[str, int]] = []
    turn = serving_turns.Turns._turn

    def watched(self: serving_turns.Turns, work: Together) -> None:
        order.append(("begins", id(work)))
        turn(self, work)
        order.append(("ends", id(work)))

    monkeypatch.setattr(serving_turns.Turns, "_turn", watched)
    with connect(logit, **LONG) as writes:
        until(lambda: len(order) > 2)
        writer = order[0][1]
        content = "the sea is deep and " * 12
        messages = [{"role": "user", "content": content}]
        logit.client.chat.completions.create(
            model=logit.served.name, messages=messages, max_tokens=1
        )
        reader = next(each for _, each in order if each != writer)
        until(lambda: ("ends", reader) in order)
        writes.close()
    within = order[order.index(("begins", reader)) : order.index(("ends", reader))]
    assert within.count(("ends", writer)) >= 4


def test_eight_batches_take_a_step_in_turn(logit: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[int] = []
    turn = serving_turns.Turns._turn

    def watched(turns: serving_turns.Turns, work: Together) -> None:
        if not order:
            until(lambda: len(turns._waiting) + len(turns._writing) == 8)
        turn(turns, work)
        order.append(id(work))

    monkeypatch.setattr(serving_turns.Turns, "_turn", watched)
    ask = partial(logit.client.chat.completions.create, **logit.ask, max_tokens=100)
    asks = [partial(ask, temperature=0.001 * n) for n in range(1, 9)]  # no two are one batch
    clients = [threading.Thread(target=each) for each in asks]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    begun = max(order.index(each) for each in set(order)) + 1
    assert len(set(order)) == 8
    for start in range(begun, begun + 400, 8):
        assert len({*order[start : start + 8]}) == 8


def test_a_fault_fails_its_request_alone(
    logit: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feed = Batch.feed

    def broken(batch: Batch, *given: Any, **more: Any) -> torch.Tensor:
        if len(batch) == 3:
            raise RuntimeError("planted")
        return feed(batch, *given, **more)

    monkeypatch.setattr(Batch, "feed", broken)
    with pytest.raises(openai.InternalServerError, match="RuntimeError") as caught:
        logit.client.chat.completions.create(**logit.ask, n=3)
    assert caught.value.code == "server_error" and "planted" in caplog.text
    with pytest.raises(openai.APIError, match="RuntimeError"):
        list(logit.client.chat.completions.create(**logit.ask, n=3, stream=True))
    assert logit.client.chat.completions.create(**logit.ask, max_tokens=2).choices


def test_numbers_that_overflow_are_no_answer(
    logit: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Batch.feed
    monkeypatch.setattr(Batch, "feed", lambda *given, **more: feed(*given, **more) * torch.nan)
    with pytest.raises(openai.InternalServerError, match="logits"):
        logit.client.chat.completions.create(**logit.ask, max_tokens=4)


def test_a_model_thread_that_ends_leaves_nobody_waiting(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve("logit")

    def broken(*_: object) -> None:
        raise AssertionError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(serving_turns.Turns, "_turn", broken)
        with pytest.raises(openai.InternalServerError, match="ends"):
            server.client.chat.completions.create(**server.ask)
    assert "planted" in caplog.text
    with pytest.raises(openai.InternalServerError, match="ends"):
        server.client.chat.completions.create(**server.ask)


def test_an_interrupt_while_the_model_is_made() -> None:
    ended = threading.Event()

    def prepare(tick: Callable[[], None]) -> Any:
        try:
            while True:
                tick()
                time.sleep(0.001)
        finally:
            ended.set()

    found = serving_turns.Turns(prepare)
    found.close()
    assert ended.is_set()


@pytest.mark.parametrize(
    ("text", "stops", "want"),
    [
        ("one, tw", ["two"], "one, "),
        ("one, two, three", ["two"], "one, "),
        ("one, t", ["two", ", to"], "one"),
        ("one", ["two"], "one"),
        ("aab", ["aabc", "b!"], ""),
        ("caf\ufffd", [], "caf"),
        ("\ufffd\ufffd", ["x"], ""),
    ],
)
def test_text_is_told_once_nothing_can_change_it(text: str, stops: list[str], want: str) -> None:
    assert certain(text, stops) == want
