"""Bodies of every kind: each is an ask, or is refused in the protocol's words."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.serving import fields
from engine.serving.answers import body
from engine.serving.asking import MOST_ROWS, Ask, chat_ask, completion_ask
from engine.serving.refused import Refused

NAMES = (
    "model", "messages", "prompt", "n", "temperature", "top_p", "top_k", "seed", "stop", "stream",
    "stream_options", "max_tokens", "max_completion_tokens", "logprobs", "top_logprobs",
    "chat_template_kwargs", *fields.ONLY, *fields.WITHOUT_EFFECT,
)  # fmt: skip
SOUND = {"model": "m", "messages": [{"role": "user", "content": "a"}], "prompt": "a"}
LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 1 << 70) | st.floats() | st.text(max_size=4)
    | st.sampled_from(["\ud800", "none", "text", "user", {}, []])
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4), st.booleans())
@example({"seed": 1 << 63}, True)
@example({"prompt": [[], []]}, False)
@example({"prompt": [True]}, False)
@example({"messages": [{"role": "user", "content": [[]]}]}, True)
@example({"stream": True, "stream_options": {"include_usage": 1}}, True)
@example({"temperature": float("nan")}, True)
def test_every_body_is_understood_or_refused(more: dict[str, Any], chat: bool) -> None:
    other = "prompt" if chat else "messages"
    data = {key: value for key, value in {**SOUND, **more}.items() if key != other}
    try:
        ask = (chat_ask if chat else completion_ask)(json.dumps(data).encode())
    except Refused as refused:
        assert 400 <= refused.status < 500 and refused.param
        assert json.loads(body(refused.document))["error"]["message"]
        return
    assert isinstance(ask, Ask)
    assert 1 <= ask.n * max(1, len(ask.prompts)) <= MOST_ROWS
    assert bool(ask.messages) == chat != bool(ask.prompts)
    assert 0 <= ask.sampling.temperature <= 2 and 0 <= ask.sampling.top_p <= 1
    assert all(ask.stops) and (ask.limit is None or ask.limit > 0)
    for name, value in data.items():  # nothing that was given is forgotten
        if value is not None and name in fields.ONLY:
            assert any(fields.same(value, each) for each in fields.ONLY[name])


def test_a_seed_is_drawn_where_none_is_given() -> None:
    text = json.dumps({key: SOUND[key] for key in ("model", "messages")}).encode()
    assert chat_ask(text).sampling.seed != chat_ask(text).sampling.seed
    assert chat_ask(text).sampling.greedy and chat_ask(text).limit is None
