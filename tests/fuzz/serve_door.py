"""Bodies of requests to `serve`, against its application in this process.

body ──► the application ──► an answer, or the protocol's own error; never 500, never slow
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from starlette.types import ASGIApp, Message

from engine.recipe import recipe_from_dict
from engine.serving.app import build_app
from engine.serving.served import Opening
from engine.serving.turns import Turns
from engine.study import load_study
from tests.fuzz.changes import BEYOND, TEXTS, deep, in_json, in_text, odd, to_json
from tests.fuzz.corpus import Corpus
from tests.fuzz.watching import Input

RECIPE = {"method": "proxy_tuning", "coefficients": {"x": 0.5}}
CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"
SOUND: dict[str, list[dict[str, Any]]] = {
    CHAT: [
        {
            "model": "m", "messages": [{"role": "system", "content": "be kind"},
                                       {"role": "user", "content": "the sky"}],
            "max_tokens": 3, "temperature": 0.7, "top_p": 0.9, "top_k": 5, "seed": 4, "n": 2,
            "stop": ["e", "blue"], "stream": True, "stream_options": {"include_usage": True},
            "logprobs": True, "top_logprobs": 2, "chat_template_kwargs": {"a": 1},
            "user": "me", "tools": [], "response_format": {"type": "text"},
        },
        {
            "model": "m", "messages": [{"role": "user", "content": [
                {"type": "text", "text": "the "}, {"type": "text", "text": "sky"}]}],
            "max_completion_tokens": 4,
        },
    ],
    COMPLETION: [
        {"model": "m", "prompt": ["the sky", "a door"], "max_tokens": 3, "logprobs": 2, "n": 2,
         "seed": -1, "temperature": 1.5, "stop": "e", "stream": True},
        {"model": "m", "prompt": [1, 5, 7], "max_tokens": 2, "echo": False, "suffix": None},
    ],
}  # fmt: skip
"""Path -> bodies that are answered; m stands for the point's name."""

WORDS = st.sampled_from(TEXTS) | st.text(max_size=20)
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "max_tokens": st.integers(1, 12), "n": st.integers(1, 5), "seed": st.integers(-9, 1 << 62),
    "temperature": st.floats(0, 2), "top_p": st.floats(0, 1), "top_k": st.integers(-1, 99999),
    "stop": WORDS | st.lists(WORDS, max_size=3), "stream": st.booleans(),
    "prompt": WORDS | st.lists(st.integers(0, 20), max_size=6) | st.lists(WORDS, max_size=3),
    "messages": st.lists(
        st.fixed_dictionaries({"role": st.sampled_from(("user", "system", "x")), "content": WORDS}),
        max_size=3,
    ),
}  # fmt: skip
"""Field -> values most of which are answered."""

ODD = (
    b"", b"null", b"[]", b'"a"', b"{", b"\xff\xfe{}", b'{"model": "m", "prompt": "\xc3("}',
    b'{"n": 1, "n": 2}', b"[" * 9000, to_json(deep(200)), b'{"seed": ' + BEYOND.encode() + b"}",
    b'{"temperature": 1e999}', b'{"prompt": "\\ud800"}', b"\xef\xbb\xbf{}", b"{}\x00",
    b'{"a":' * 300 + b"1" + b"}" * 300, b'{"n": -0}', b'{"max_tokens": 1E400}',
)  # fmt: skip


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    kind: str
    body: bytes


def ask(app: ASGIApp, path: str, body: bytes) -> Answered:
    """One request, as a server would hand it over; what the application raises is raised."""
    sent: list[Message] = []

    async def asked() -> None:
        given = [{"type": "http.request", "body": body, "more_body": False}]
        never = asyncio.Event()

        async def receive() -> Message:
            if not given:
                await never.wait()
            return given.pop()

        async def send(message: Message) -> None:
            sent.append(message)

        head = {"host": "127.0.0.1", "content-type": "application/json"}
        headers = [(name.encode(), value.encode()) for name, value in head.items()]
        scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(),
            "query_string": b"", "headers": headers, "scheme": "http", "http_version": "1.1",
            "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "root_path": "",
        }  # fmt: skip
        await app(scope, receive, send)

    # in a thread of its own: a browser's driver keeps a loop running in the one of the tests
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, asked()).result()
    start, *rest = sent
    kind = dict(start["headers"]).get(b"content-type", b"").decode()
    return Answered(start["status"], kind, b"".join(each.get("body", b"") for each in rest))


def check(found: Answered) -> str:
    """How a request was answered; raises `AssertionError` where none may be answered so."""
    assert found.status == 200 or 400 <= found.status < 500, found
    if found.status != 200:
        _check_error(json.loads(found.body))
        return f"refused with {found.status}"
    events = [found.body.decode()]
    if found.kind.startswith("text/event-stream"):
        *events, last = found.body.decode().split("\n\n")[:-1]
        assert last == "data: [DONE]", found
    for each in (json.loads(event.removeprefix("data: ")) for event in events):
        if "error" in each:  # once a stream has begun
            _check_error(each)
            assert each["error"]["type"] != "server_error", found
        else:
            assert isinstance(each["choices"], list), found
    return "answered"


def _check_error(document: Any) -> None:
    error = document["error"]
    assert set(document) == {"error"} and set(error) == {"message", "type", "param", "code"}, error
    assert isinstance(error["message"], str) and error["message"], error
    assert isinstance(error["type"], str) and len(error["message"]) < 2000, error


def application(corpus: Corpus) -> Iterator[tuple[ASGIApp, str]]:
    """A point of the corpus, served in this process, and its name."""
    study = load_study(corpus["on-chats.jsonl.yaml"])
    given = recipe_from_dict(RECIPE, "fuzz")
    opening = Opening(study, given, corpus["work"], "cpu", None, lambda _: None)
    turns = Turns(opening)
    turns.wait()
    assert opening.served is not None
    yield build_app(opening.served, turns), opening.served.name
    turns.close()


def asking(app: ASGIApp) -> Callable[[str, str], str]:
    """The call of an input: its words are a path and a body, a character a byte."""

    def call(path: str, body: str) -> str:
        return check(ask(app, path, body.encode("latin-1")))

    return call


def bodies(corpus: Corpus) -> st.SearchStrategy[Input]:
    """Sound bodies with a change, others of any JSON, and what is no JSON; the server stays."""
    server = application(corpus)
    app, name = next(server)
    call = asking(app)

    def of(path: str, content: st.SearchStrategy[bytes]) -> st.SearchStrategy[Input]:
        return content.map(lambda body: Input("serve", (path, body.decode("latin-1")), call=call))

    ways = []
    for path, sound in SOUND.items():
        for each in sound:
            named = to_json({**each, "model": name})
            ways += [of(path, in_json(named)), of(path, in_text(named))]
            rest = st.dictionaries(st.sampled_from(sorted(each)), odd(), min_size=1, max_size=3)
            ways.append(of(path, rest.map(lambda more, each=each: to_json(
                {**each, "model": name, **more}))))  # fmt: skip
            likely = {key: LIKELY[key] for key in ("seed", *each) if key in LIKELY}
            ways.append(of(path, st.fixed_dictionaries(likely).map(lambda more, each=each: to_json(
                {**each, "model": name, **more}))))  # fmt: skip
        ways.append(of(path, st.sampled_from(ODD)))
        ways.append(of(path, any_json().map(to_json)))
    return st.one_of(*ways)


def any_json() -> st.SearchStrategy[Any]:
    """JSON of any shape."""
    return st.recursive(
        odd(),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
        ),
        max_leaves=12,
    )
