"""What the real client gets: texts, streams, stops, seeds, several answers, probabilities."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import openai
import pytest
import torch

from engine.decoding.batch import Batch
from engine.decoding.inputs import CANONICAL, no_tick
from engine.decoding.loop import generate
from tests.engine.serving.conftest import QUESTION, Running
from tests.families import SENTENCES

Generated = Callable[..., list[dict[str, Any]]]


@pytest.fixture(params=["logit", "weight", "guided"])
def server(request: pytest.FixtureRequest) -> tuple[str, Running]:
    return request.param, request.getfixturevalue(request.param)


def said(server: Running, **more: Any) -> Any:
    return server.client.chat.completions.create(**server.ask, **more)


def streamed(server: Running, **more: Any) -> tuple[dict[int, str], dict[int, str], Any]:
    """(texts, reasons, usage) of a stream."""
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    usage = None
    for chunk in said(server, stream=True, stream_options={"include_usage": True}, **more):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            assert choice.index not in reasons
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
    return texts, reasons, usage


def test_a_chat_is_what_generate_writes(server: tuple[str, Running], generated: Generated) -> None:
    kind, running = server
    [want] = generated(kind, "--prompt", QUESTION, "--chat", "--max-new-tokens", 40)
    found = said(running, max_tokens=40)
    assert found.choices[0].message.content == want["text"]
    assert found.choices[0].message.role == "assistant"
    assert found.usage.completion_tokens == len(want["token_ids"])
    assert found.usage.total_tokens == found.usage.prompt_tokens + len(want["token_ids"])
    assert found.model == running.served.name
    texts, reasons, usage = streamed(running, max_tokens=40)
    assert texts == {0: want["text"]} and usage == found.usage
    assert reasons == {0: found.choices[0].finish_reason}
    assert (reasons[0] == "length") == (len(want["token_ids"]) == 40)


def test_a_text_is_continued_as_generate_does(
    server: tuple[str, Running], generated: Generated
) -> None:
    kind, running = server
    prompts = ["the quick brown", "a kind answer turns"]
    want = generated(kind, "--prompt", *prompts, "--max-new-tokens", 16)
    complete = running.client.completions.create
    found = complete(model=running.served.name, prompt=prompts, n=2)  # 16 tokens unless told
    texts = [each["text"] for each in want]
    assert [each.text for each in found.choices] == [text for text in texts for _ in range(2)]
    ids = running.served.text.encode(prompts[0])
    if running.served.own:
        with pytest.raises(openai.BadRequestError, match="words"):
            complete(model=running.served.name, prompt=ids)
    else:
        [alone] = complete(model=running.served.name, prompt=ids).choices
        assert alone.text == texts[0]
    parts: dict[int, str] = {}
    for chunk in complete(model=running.served.name, prompt=prompts, stream=True):
        [choice] = chunk.choices
        parts[choice.index] = parts.get(choice.index, "") + choice.text
    assert parts == dict(enumerate(texts))


def test_a_conversation_goes_through_the_template(logit: Running) -> None:
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": each} for each in ("the ", "sea")]},
        {"role": "assistant", "content": "is deep"},
        {"role": "user", "content": "and the river?"},
    ]
    plain = [dict(each) for each in messages]
    plain[1]["content"] = "the sea"
    ids = logit.served.text.encode_messages(plain)
    found = logit.client.chat.completions.create(
        model=logit.served.name, messages=messages, max_completion_tokens=12
    )
    [want] = generate(
        logit.served.model, [ids], max_new_tokens=12, end_ids=logit.served.text.end_ids
    )
    assert found.choices[0].message.content == logit.served.text.decode(want.token_ids)
    assert found.usage.prompt_tokens == len(ids)


def test_stops_end_an_answer_and_are_not_part_of_it(server: tuple[str, Running]) -> None:
    _, running = server
    whole = said(running, max_tokens=40).choices[0].message.content
    stop = whole[7:10]
    want = whole[: whole.index(stop)]
    for given in (stop, ["never there", stop]):
        found = said(running, max_tokens=40, stop=given)
        [choice] = found.choices
        assert (choice.message.content, choice.finish_reason) == (want, "stop")
        assert found.usage.completion_tokens < 40
        texts, reasons, usage = streamed(running, max_tokens=40, stop=given)
        assert (texts, reasons, usage) == ({0: want}, {0: "stop"}, found.usage)


def test_a_seed_repeats_and_samples_differ(server: tuple[str, Running]) -> None:
    _, running = server
    ask = {"max_tokens": 12, "temperature": 1.0, "n": 4}
    first, again = (said(running, seed=7, **ask) for _ in range(2))
    texts = [each.message.content for each in first.choices]
    assert [each.message.content for each in again.choices] == texts
    assert [each.index for each in first.choices] == [0, 1, 2, 3]
    assert len(set(texts)) > 2
    assert streamed(running, seed=7, **ask)[0] == dict(enumerate(texts))
    assert first.usage.prompt_tokens == said(running, max_tokens=1).usage.prompt_tokens
    others = [said(running, **ask).choices[0].message.content for _ in range(3)]
    assert len({*others, texts[0]}) > 1  # without a seed each request draws its own
    alone = said(running, seed=7, **ask | {"n": 1}).choices[0]
    assert alone.message.content == texts[0]  # whatever n is
    assert first.system_fingerprint == again.system_fingerprint


def test_samples_are_those_of_generate(logit: Running, generated: Generated) -> None:
    words = ("--temperature", 0.9, "--top-p", 0.8, "--seed", 5, "--max-new-tokens", 12)
    want = generated("logit", "--chat", "--prompt", QUESTION, QUESTION, *words)
    found = said(logit, n=2, temperature=0.9, top_p=0.8, seed=5, max_tokens=12)
    assert [each.message.content for each in found.choices] == [each["text"] for each in want]


def test_greedy_unless_a_temperature_is_given(logit: Running) -> None:
    one, other = said(logit, max_tokens=12, n=2).choices
    cold = said(logit, max_tokens=12, temperature=0).choices[0]
    assert one.message.content == other.message.content == cold.message.content


@pytest.mark.parametrize("temperature", [0.0, 1.3])
def test_probabilities_are_of_the_mixture_before_sampling(
    server: tuple[str, Running], temperature: float
) -> None:
    _, running = server
    ask = {"max_tokens": 10, "logprobs": True, "top_logprobs": 3, "temperature": temperature}
    [choice] = said(running, seed=3, **ask).choices
    content = choice.logprobs.content
    spelled = b"".join(bytes(each.bytes or []) for each in content)
    assert spelled.decode("utf-8", "replace") == choice.message.content
    written: list[int] = []
    for each in content:
        logprobs = fused(running, written)
        best = logprobs.topk(3)
        assert [one.logprob for one in each.top_logprobs] == pytest.approx(
            best.values.tolist(), abs=1e-4
        )
        token = int((logprobs - each.logprob).abs().argmin())
        assert float(logprobs[token]) == pytest.approx(each.logprob, abs=1e-4)
        if temperature == 0:
            assert each.token == each.top_logprobs[0].token
            assert math.isclose(each.logprob, each.top_logprobs[0].logprob)
        written.append(token)
    assert running.served.text.decode(written) == choice.message.content


def fused(running: Running, written: list[int]) -> torch.Tensor:
    """ln p of every token behind what is written, read anew: float32 [vocabulary rows]."""
    served, messages = running.served, running.ask["messages"]
    ids = [*served.text.encode_messages(messages), *written]
    own = {n: [[*text.encode_messages(messages), *written]] for n, text in served.own.items()}
    batch = Batch(served.model, [ids], CANONICAL, no_tick, own=own)
    _, logits = list(batch.read())[-1]
    return logits[0, -1].log_softmax(-1)


def test_a_stream_tells_the_same_probabilities(logit: Running) -> None:
    ask = {"max_tokens": 20, "logprobs": True, "top_logprobs": 2}
    whole = said(logit, **ask).choices[0].logprobs.content
    parts = [
        each
        for chunk in said(logit, stream=True, **ask)
        for choice in chunk.choices
        for each in (choice.logprobs.content if choice.logprobs else [])
    ]
    assert parts == whole and len(whole) == 20
    stop = "".join(each.token for each in whole[6:8])
    if "\ufffd" not in stop:
        cut = said(logit, stop=stop, **ask).choices[0].logprobs.content
        assert cut == whole[: len(cut)] and len(cut) <= 7


def test_completions_tell_probabilities_in_their_own_form(logit: Running) -> None:
    [choice] = logit.client.completions.create(
        model=logit.served.name, prompt="the quick brown", max_tokens=6, logprobs=2
    ).choices
    found = choice.logprobs
    assert len(found.tokens) == len(found.token_logprobs) == len(found.top_logprobs) == 6
    assert found.text_offset[0] == 0 and sorted(found.text_offset) == found.text_offset
    for token, value, top in zip(
        found.tokens, found.token_logprobs, found.top_logprobs, strict=True
    ):
        assert top[token] == value == max(top.values())


def test_eight_clients_get_what_each_gets_alone(server: tuple[str, Running]) -> None:
    """Each has a prompt, a length and a sampling of its own."""
    _, running = server
    words = SENTENCES[0].split()
    asks: list[dict[str, Any]] = [
        {
            "prompt": " ".join(words[: number + 1]),
            "max_tokens": 30 + number,
            "temperature": 1.5 * (number % 2),
            "seed": number,
            "logprobs": number % 3 or None,
            "n": 1 + number // 6,
        }
        for number in range(8)
    ]
    complete = partial(running.client.completions.create, model=running.served.name)
    want = [{each.index: each.text for each in complete(**ask).choices} for ask in asks]
    texts: list[dict[int, str]] = [{} for _ in asks]
    together = threading.Barrier(8)

    def client(number: int) -> None:
        together.wait()
        for chunk in complete(**asks[number], stream=True):
            for choice in chunk.choices:
                texts[number][choice.index] = texts[number].get(choice.index, "") + choice.text

    clients = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert texts == want


def test_the_model_is_listed_with_its_recipe(logit: Running) -> None:
    [found] = logit.client.models.list().data
    assert found.id == logit.served.name
    assert found.model_dump()["recipe"]["method"] == "proxy_tuning"
    assert logit.client.models.retrieve(found.id).id == found.id
