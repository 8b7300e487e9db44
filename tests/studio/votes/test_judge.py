"""A judge against an endpoint on this machine that misbehaves: clear errors, nothing lost."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from engine.errors import BadInput
from engine.recipe import Recipe
from studio.votes.asking import MOST_TOKENS, cost_of
from studio.votes.ballots import Vote
from studio.votes.deck import ballots
from studio.votes.judge import MOST_BYTES, PATIENCE, TRIES, Judge, JudgeFailed, Progress, ask_all
from studio.votes.round import Round

Reply = Callable[[BaseHTTPRequestHandler], None]
KEY = "sk-secret-of-the-user"


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    headers.setdefault("Content-Length", str(len(body)))
    headers["Connection"] = "close"
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def says(text: Any) -> Reply:
    body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
    return lambda handler: send(handler, 200, body)


def fails(status: int, body: bytes = b"", **headers: str) -> Reply:
    return lambda handler: send(handler, status, body, **headers)


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, b'{"choices": [{"mess', Content_Length="500")
    handler.connection.shutdown(socket.SHUT_RDWR)


def cut_chunks(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b'40\r\n{"choices"')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def drips(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then: no single read ever times out."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    try:
        for _ in range(40):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        pass


class Endpoint:
    """Answers as it is told, in turn; the last one for good."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [says("[[A]]")]
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                endpoint.asked.append(json.loads(self.rfile.read(length)))
                endpoint.keys.append(self.headers.get("Authorization"))
                replies = endpoint.replies
                (replies.pop(0) if len(replies) > 1 else replies[0])(self)
                self.close_connection = True

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    yield found
    found.server.shutdown()
    found.server.server_close()


def a_round(questions: int = 3) -> Round:
    names = [f"q{n}" for n in range(questions)]
    left = ballots([("a", "b")], [names], 7)
    answers = {(q, p): f"{p} says {q}" for q in names for p in "ab"}
    recipes = {p: Recipe("single", {}, {"model": p}) for p in "ab"}
    return Round(recipes, {q: f"prompt {q}?" for q in names}, answers, 0, left, len(left))


def ask(
    endpoint: Endpoint, found: Round, timeout: float = 5.0
) -> tuple[list[Vote], Progress, list[float]]:
    votes: list[Vote] = []
    pauses: list[float] = []
    progress = Progress()
    judge = Judge(endpoint.url, "m", "JUDGE_TEST_KEY", timeout, pauses.append)
    try:
        ask_all(judge, found, votes.append, progress)
    finally:
        ask.kept = votes, progress, pauses  # type: ignore[attr-defined]
    return votes, progress, pauses


def test_both_orders_are_asked_and_nothing_tells_a_name(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_TEST_KEY", KEY)
    found = a_round()
    cost, wanted = cost_of(found), list(found.left)
    endpoint.replies = [
        says("[[A]]"),
        says("I think so. [[ tie ]]"),
        says("[[BAD]]"),
        says("[[B]]"),
    ]
    votes, progress, _ = ask(endpoint, found)
    assert [each.ballot for each in votes] == wanted and not found.left
    assert [each.choice for each in votes] == ["left", "tie", "bad", "right", "right", "right"]
    assert (progress.done, progress.failed, cost.calls) == (6, 0, 6)
    letters = sum(len(m["content"]) for each in endpoint.asked for m in each["messages"])
    assert cost.tokens_in == -(-letters // 4) and cost.tokens_out == 6 * MOST_TOKENS
    for ballot, asked in zip(wanted, endpoint.asked, strict=True):
        text = asked["messages"][1]["content"]
        assert f"prompt {ballot.question}?" in text
        first, second = (text.index(f"{p} says") for p in (ballot.left, ballot.right))
        assert first < second
    assert {*endpoint.keys} == {f"Bearer {KEY}"}
    assert KEY not in repr(votes) and all(each.by == f"judge m at {endpoint.url}" for each in votes)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (fails(500, b"overloaded"), "HTTP 500: overloaded"),
        (fails(429, b"slow down", Retry_After="3"), "HTTP 429"),
        (fails(200, b"<html>"), "not a chat completion: <html>"),
        (fails(200, b'{"choices": []}'), "not a chat completion"),
        (says(None), "not a chat completion"),
        (says("left"), "no verdict in the answer 'left'"),
        (says("[[A]] or [[B]]"), "several verdicts"),
        (cut_off, "the connection failed"),
        (cut_chunks, "the connection failed"),
        (fails(200, b" " * (MOST_BYTES + 1)), "an answer of more than"),
    ],
)
def test_what_may_pass_is_tried_again_then_told_and_votes_stay(
    endpoint: Endpoint, reply: Reply, said: str
) -> None:
    found = a_round()
    endpoint.replies = [says("[[A]]"), reply, says("[[B]]"), reply]
    with pytest.raises(JudgeFailed) as caught:
        ask(endpoint, found)
    votes, progress, pauses = ask.kept  # type: ignore[attr-defined]
    assert said in str(caught.value) and "2 of 6 votes are kept" in str(caught.value)
    assert [each.choice for each in votes] == ["left", "right"]
    assert len(endpoint.asked) == 3 + TRIES * PATIENCE
    assert progress.failed == PATIENCE and len(found.left) == 4
    assert all(each > 0 for each in pauses) and (said != "HTTP 429" or max(pauses) == 3.0)
    endpoint.replies = [says("[[tie]]")]
    votes, _, _ = ask(endpoint, found)  # goes on with what is left, and no more
    assert len(votes) == 4 and not found.left


@pytest.mark.parametrize("reply", [lambda _: time.sleep(1.0), drips])
def test_an_answer_that_does_not_come_or_does_not_end_is_given_up(
    endpoint: Endpoint, reply: Reply
) -> None:
    found = a_round(1)
    endpoint.replies = [reply, says("[[A]]")]
    started = time.monotonic()
    votes, _, _ = ask(endpoint, found, timeout=0.2)
    assert len(votes) == 2 and time.monotonic() - started < 3


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_refusal_ends_it_at_once_and_does_not_repeat_the_key(
    endpoint: Endpoint, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_TEST_KEY", KEY)
    endpoint.replies = [fails(status, f"no such key: {KEY}".encode(), Location="/elsewhere")]
    with pytest.raises(JudgeFailed) as caught:
        ask(endpoint, a_round())
    assert f"HTTP {status}: no such key: …" in str(caught.value) and KEY not in str(caught.value)
    assert len(endpoint.asked) == 1


def test_a_model_that_takes_no_temperature_is_asked_without(endpoint: Endpoint) -> None:
    found = a_round(1)
    endpoint.replies = [fails(400, b"use max_completion_tokens, not max_tokens"), says("[[B]]")]
    votes, _, _ = ask(endpoint, found)
    first, *rest = endpoint.asked
    assert first["temperature"] == 0 and first["max_tokens"] == MOST_TOKENS and len(votes) == 2
    for each in rest:
        assert each["max_completion_tokens"] == MOST_TOKENS
        assert not {"temperature", "max_tokens"} & each.keys()


def test_a_ballot_without_a_verdict_is_left_and_the_others_go_on(endpoint: Endpoint) -> None:
    found = a_round()
    endpoint.replies = [*[says("hm")] * TRIES, says("[[A]]")]
    first = found.left[0]
    votes, progress, _ = ask(endpoint, found)
    assert (len(votes), progress.failed) == (5, 1) and found.left == [first]
    assert "no verdict" in progress.last


def test_nobody_there_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    judge = Judge(f"http://127.0.0.1:{port}", "m", "JUDGE_TEST_KEY", 1.0, lambda _: None)
    with pytest.raises(JudgeFailed, match="the connection failed"):
        ask_all(judge, a_round(), lambda _: None, Progress())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://host/v1", "is no URL"), ("127.0.0.1:8000", "is no URL"), ("http://", "is no URL"),
        ("https://user:word@host/v1", "holds a password"), ("http://host:x/v1", "is no URL"),
        ("https://host/v1?key=1", "more than a path"), ("http://host/v1", "unencrypted"),
    ],
)  # fmt: skip
def test_an_endpoint_that_is_none_or_not_safe_is_refused(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_TEST_KEY", KEY)
    with pytest.raises(BadInput, match=said) as caught:
        Judge(url, "m", "JUDGE_TEST_KEY")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("seconds", [0.0, -3.0, 1e9])
def test_a_wait_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(BadInput, match="no number of seconds"):
        Judge("http://127.0.0.1:8000/v1", "m", "JUDGE_TEST_KEY", seconds)
