"""Requests in one batch: the texts of separate ones, each with its own seed, limit and stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from engine.decoding.batch import Batch
from engine.serving import turns as serving_turns
from engine.serving.together import Together
from engine.serving.turns import Turns
from tests.engine.serving.conftest import Running
from tests.engine.serving.test_turns import LONG, connect, until

OTHER = [{"role": "user", "content": "the quick brown fox"}]
EIGHT: list[dict[str, Any]] = [
    {"max_tokens": 30},
    {"max_tokens": 3, "logprobs": True, "top_logprobs": 2},
    {"max_tokens": 40, "messages": OTHER},
    {"max_tokens": 24, "stop": ["o"], "messages": OTHER},
    {"max_tokens": 30, "temperature": 1.5, "seed": 1},
    {"max_tokens": 30, "temperature": 1.5, "seed": 2, "n": 3},
    {"max_tokens": 12, "temperature": 1.5, "seed": 1, "logprobs": True},
    {"max_tokens": 30, "temperature": 1.5, "seed": 3, "messages": OTHER, "stop": "e"},
]
"""Four greedy ones, and four that are sampled: two batches."""


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Requests of each batch; those that are sent together wait for each other."""
    found: list[int] = []
    made = Together.__init__

    def counted(batch: Together, model: Any, works: Sequence[Any], tick: Any) -> None:
        found.append(len(works))
        made(batch, model, works, tick)

    monkeypatch.setattr(Together, "__init__", counted)
    return found


@pytest.fixture
def at_once() -> Iterator[Callable[..., list[Any]]]:
    """Call several functions together; the server waits until all of them have come."""

    def waiting(turns: Turns, count: int) -> None:
        patch = pytest.MonkeyPatch()

        def wait(_: Turns) -> None:
            end = time.monotonic() + 20.0
            while len(turns._waiting) < count and time.monotonic() < end:
                turns._changed.wait(0.1)
            patch.undo()

        patch.setattr(Turns, "_wait_for_more", wait)

    with ThreadPoolExecutor(8) as pool:

        def called(server: Running, asks: Sequence[Callable[[], Any]]) -> list[Any]:
            waiting(server.turns, len(asks))
            return [each.result() for each in [pool.submit(ask) for ask in asks]]

        yield called


def answered(server: Running, stream: bool, ask: dict[str, Any]) -> Any:
    """Of each answer its text, why it ended, and the tokens with their probabilities."""
    given = {**server.ask, **ask}
    n = ask.get("n", 1)
    found: list[list[Any]] = [["", None, []] for _ in range(n)]
    if stream:
        for chunk in server.client.chat.completions.create(**given, stream=True):
            for each in chunk.choices:
                said = found[each.index]
                said[0] += each.delta.content or ""
                said[1] = each.finish_reason or said[1]
                said[2] += (each.logprobs and each.logprobs.content) or []
    else:
        whole = server.client.chat.completions.create(**given)
        for each in whole.choices:
            logprobs = (each.logprobs and each.logprobs.content) or []
            found[each.index] = [each.message.content, each.finish_reason, logprobs]
    return [
        (text, reason, [(one.token, pytest.approx(one.logprob, abs=1e-4)) for one in tokens])
        for text, reason, tokens in found
    ]


@pytest.mark.parametrize("served", ["logit", "weight", "guided"])
def test_eight_clients_at_once_get_what_each_gets_alone(
    request: pytest.FixtureRequest, served: str, batches: list[int],
    at_once: Callable[..., list[Any]],
) -> None:  # fmt: skip
    server: Running = request.getfixturevalue(served)
    alone = [answered(server, False, ask) for ask in EIGHT]
    assert batches == [1] * 8
    asks = [
        lambda n=n, ask=ask: answered(server, n % 2 == 1, ask)  # every other one as a stream
        for n, ask in enumerate(EIGHT)
    ]
    together = at_once(server, asks)
    assert batches[8:] == [4, 4]
    assert together == alone
    assert len({text for each in alone for text, *_ in each}) > 6
    assert {reason for each in alone for _, reason, _ in each} == {"stop", "length"}


def test_a_short_answer_does_not_wait_for_a_long_one(
    logit: Running, at_once: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    feed = Batch.feed

    def slower(batch: Batch, *given: Any, **more: Any) -> torch.Tensor:
        rows.append(len(batch))
        time.sleep(0.01)
        return feed(batch, *given, **more)

    def timed(ask: dict[str, Any]) -> float:
        logit.client.chat.completions.create(**logit.ask, **ask)
        return time.monotonic()

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "feed", slower)
        asks = [lambda: timed({"max_tokens": 4}), lambda: timed({"max_tokens": 60})]
        short, long = at_once(logit, asks)
    assert short < long - 0.3
    assert rows[:3] == [2, 2, 2] and set(rows[3:]) == {1}


def test_the_row_of_a_client_that_leaves_is_freed(
    logit: Running, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    feed = Batch.feed

    def slower(batch: Batch, *given: Any, **more: Any) -> torch.Tensor:
        rows.append(len(batch))
        time.sleep(0.02)
        return feed(batch, *given, **more)

    monkeypatch.setattr(Batch, "feed", slower)
    monkeypatch.setattr(serving_turns, "JOIN_SECONDS", 5.0)
    monkeypatch.setattr(serving_turns, "JOIN_MOST_SECONDS", 1.0)
    with connect(logit, **LONG), connect(logit, **LONG) as other:
        until(lambda: len(rows) > 2)
        assert batches == [2] and rows[-1] == 2 and logit.turns.taken == 2
        other.close()
        until(lambda: logit.turns.taken == 1)
        seen = len(rows)
        until(lambda: len(rows) > seen + 3)
        assert rows[-1] == 1
    until(lambda: logit.turns.taken == 0)


@pytest.mark.parametrize("at", [0, 5])
def test_each_goes_on_by_itself_where_their_batch_fails(
    logit: Running, batches: list[int], at_once: Callable[..., list[Any]],
    monkeypatch: pytest.MonkeyPatch, at: int,
) -> None:  # fmt: skip
    asks = [
        {**LONG, "max_tokens": 12, "logprobs": True}, {**LONG, "max_tokens": 20},
        {**LONG, "max_tokens": 20, "stop": ["qqq"]},
    ]  # fmt: skip
    alone = [answered(logit, True, ask) for ask in asks]
    steps = 0
    feed = Batch.feed

    def broken(batch: Batch, *given: Any, **more: Any) -> torch.Tensor:
        nonlocal steps
        if len(batch) == 3:
            steps += 1
            if steps > at:
                raise RuntimeError("planted")
        return feed(batch, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "feed", broken)
        calls = [lambda ask=ask: answered(logit, True, ask) for ask in asks]
        assert at_once(logit, calls) == alone
    assert batches == [1, 1, 1, 3, 1, 1, 1] and steps == at + 1


def test_prompts_too_unlike_in_length_are_batches_of_their_own(
    logit: Running, batches: list[int], at_once: Callable[..., list[Any]]
) -> None:
    long = [{"role": "user", "content": "the sea is deep and " * 20}]
    asks = [
        lambda said=said: answered(logit, False, {"max_tokens": 5, **said})
        for said in ({}, {}, {"messages": long}, {"n": 64})
    ]
    at_once(logit, asks)
    assert sorted(batches) == [1, 1, 2]
