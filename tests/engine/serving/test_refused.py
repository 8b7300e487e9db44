"""The protocol's own errors, as the real client raises them and as plain requests see them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import openai
import pytest

from engine.errors import BadInput
from engine.serving import guard
from engine.serving.server import api_key, listen
from tests.engine.serving.conftest import Running, Serve, client_of

KEY = b"0123456789abcdef-key"


def refused(server: Running, **ask: Any) -> dict[str, Any]:
    """The error that the real client gets of a bad request."""
    with pytest.raises(openai.APIStatusError) as caught:
        server.client.chat.completions.create(**{**server.ask, **ask})
    error = caught.value
    assert isinstance(error.body, dict) and set(error.body) == {"message", "type", "param", "code"}
    return {**error.body, "status": error.status_code}


def post(
    server: Running, body: bytes, path: str = "/v1/chat/completions", **headers: str
) -> tuple[int, dict[str, Any]]:
    """(status, error) of a request as it is."""
    headers = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    request = urllib.request.Request(server.root + path, body, headers)
    with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(request):
        pass
    with caught.value as answer:
        return answer.code, json.loads(answer.read())["error"]


def test_another_model_is_not_found(logit: Running) -> None:
    found = refused(logit, model="gpt-4o")
    assert (found["status"], found["code"], found["param"]) == (404, "model_not_found", "model")
    assert logit.served.name in found["message"]
    with pytest.raises(openai.NotFoundError):
        logit.client.models.retrieve("gpt-4o")


def test_what_is_too_long_is_said_with_its_numbers(logit: Running) -> None:
    long = [{"role": "user", "content": "the sea " * 400}]
    for ask in ({"messages": long}, {"max_tokens": 512}, {"messages": long, "stream": True}):
        found = refused(logit, **ask)
        assert (found["status"], found["code"]) == (400, "context_length_exceeded")
        assert "512" in found["message"] and found["type"] == "invalid_request_error"
    whole = logit.client.chat.completions.create(**logit.ask)  # no limit: as much as there is room
    assert whole.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"[]", b'"a"', b'{"n": 1, "n": 2}', b"\xff\xfe", b"[" * 100_000, b'{"a":1e999}'],
)  # fmt: skip
def test_what_is_no_json_object(logit: Running, body: bytes) -> None:
    status, error = post(logit, body)
    assert (status, error["code"], error["type"]) == (400, "invalid_json", "invalid_request_error")


@pytest.mark.parametrize(
    ("ask", "param", "code"),
    [
        ({"tools": [{"type": "function"}]}, "tools", "unsupported_parameter"),
        ({"response_format": {"type": "json_object"}}, "response_format", "unsupported_parameter"),
        ({"logit_bias": {"5": 10}}, "logit_bias", "unsupported_parameter"),
        ({"frequency_penalty": 0.5}, "frequency_penalty", "unsupported_parameter"),
        ({"presence_penalty": -1}, "presence_penalty", "unsupported_parameter"),
        ({"reasoning_effort": "low"}, "reasoning_effort", "unsupported_parameter"),
        ({"extra_body": {"min_p": 0.1}}, "min_p", "unknown_parameter"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 65}, "n", "invalid_value"),
        ({"n": True}, "n", "invalid_value"),
        ({"temperature": -0.1}, "temperature", "invalid_value"),
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"temperature": "hot"}, "temperature", "invalid_value"),
        ({"top_p": 0.5}, "top_p", "invalid_value"),
        ({"extra_body": {"top_k": 5}}, "top_k", "invalid_value"),
        ({"top_p": 1.5, "temperature": 1}, "top_p", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 2.5}, "max_tokens", "invalid_value"),
        ({"max_tokens": 2, "max_completion_tokens": 3}, "max_tokens", "invalid_value"),
        ({"stop": ""}, "stop", "invalid_value"),
        ({"stop": [1]}, "stop", "invalid_value"),
        ({"stop": ["a"] * 17}, "stop", "invalid_value"),
        ({"seed": 1.5}, "seed", "invalid_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "invalid_value"),
        ({"messages": []}, "messages", "missing"),
        ({"messages": ["hi"]}, "messages[0]", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing"),
        ({"messages": [{"role": "user", "content": "a", "name": "b"}]}, "messages[0].name",
         "unknown_parameter"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
         "messages[0].content[0]", "unsupported_parameter"),
        ({"extra_body": {"chat_template_kwargs": {"messages": []}}}, "chat_template_kwargs",
         "invalid_value"),
    ],
)  # fmt: skip
def test_what_would_be_ignored_is_refused_by_name(
    logit: Running, ask: dict[str, Any], param: str, code: str
) -> None:
    found = refused(logit, **ask)
    assert (found["status"], found["param"], found["code"]) == (400, param, code)
    assert param in found["message"]


def test_what_asks_nothing_is_no_error(logit: Running) -> None:
    found = logit.client.chat.completions.create(
        **logit.ask, max_tokens=2, tools=[], logit_bias={}, frequency_penalty=0, user="me",
        response_format={"type": "text"}, top_p=1, store=False, stop=None,
        extra_body={"top_k": -1, "chat_template_kwargs": {"enable_thinking": False}},
    )  # fmt: skip
    assert found.usage is not None and found.usage.completion_tokens == 2


def test_half_a_character_is_refused(logit: Running) -> None:
    body = {**logit.ask, "messages": [{"role": "user", "content": "\ud800"}]}
    status, error = post(logit, json.dumps(body).encode())
    assert (status, error["param"]) == (400, "messages[0].content")


def test_ids_that_no_model_embeds(logit: Running) -> None:
    with pytest.raises(openai.BadRequestError, match="embed"):
        logit.client.completions.create(model=logit.served.name, prompt=[1, 100_000])


def test_a_template_that_refuses_or_is_not_there(
    serve: Serve, logit: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = logit.served.text.tokenizer
    monkeypatch.setattr(tokenizer, "chat_template", "{{ raise_exception('no system') }}")
    found = refused(logit)
    assert found["status"] == 400 and "no system" in found["message"]
    assert "/" not in found["message"]  # not where the file lies
    monkeypatch.setattr(tokenizer, "chat_template", None)
    found = refused(logit)
    assert (found["status"], found["code"]) == (400, "no_chat_template")


def test_paths_and_methods_that_are_not_there(logit: Running) -> None:
    status, error = post(logit, b"{}", "/v1/embeddings")
    assert status == 404 and "/v1/embeddings" in error["message"]
    assert post(logit, b"{}", "/v1/models")[0] == 405
    assert post(logit, b"{}", Content_Type="text/plain")[0] == 415


def test_a_body_has_a_limit(logit: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_BYTES", 1000)
    status, error = post(logit, b" " * 1001)
    assert (status, error["code"]) == (413, "too_large")


def test_a_foreign_name_that_leads_here_is_refused(logit: Running) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "[", "10.0.0.1"):
        assert post(logit, b"{}", Host=host)[0] == 403
    assert post(logit, b"{}", Host="localhost:8000")[0] == 400


def test_a_key_is_asked_for(serve: Serve) -> None:
    server = serve("logit", key=KEY)
    assert server.client.models.list().data
    for key in ("wrong", KEY.decode() + "x", KEY.decode()[:-1]):
        with client_of(server.url, key) as other, pytest.raises(openai.AuthenticationError) as no:
            other.models.list()
        assert no.value.code == "invalid_api_key"
    assert post(server, b"{}", Authorization="Bearer \xe9")[0] == 401
    assert post(server, b"{}", Host="box.example")[0] == 401
    with urllib.request.urlopen(f"{server.root}/healthz") as answer:
        assert json.load(answer) == {"status": "ok"}


def test_only_a_key_opens_the_network(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("0.0.0.0", "::"):
        with pytest.raises(BadInput, match="API key"):
            listen(host, 0, None)
    listen("0.0.0.0", 0, KEY).close()
    with listen("127.0.0.1", 0, None) as taken:
        taken.listen()
        with pytest.raises(BadInput, match="--port"):
            listen("127.0.0.1", taken.getsockname()[1], None)
    with pytest.raises(BadInput, match="no address"):
        listen("not a host", 0, None)
    monkeypatch.delenv("PARETOSCOPE_API_KEY", raising=False)
    assert api_key(None) is None
    monkeypatch.setenv("PARETOSCOPE_API_KEY", "short")
    with pytest.raises(BadInput, match="16 or more"):
        api_key(None)
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    assert api_key(str(file)) == KEY
    with pytest.raises(BadInput, match="key"):
        api_key(str(tmp_path / "gone"))
