"""The body of a request as what is asked of the model.

Greedy unless a temperature is given, as everywhere in this program; the protocol's own default
is 1.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.decoding.sampling import Sampling
from engine.errors import BadInput, kind_of
from engine.json_reading import parse_json
from engine.serving.fields import SEEDS, Fields, text
from engine.serving.refused import Refused, wrong
from engine.study_file import variables_of

MOST_ROWS = 64
"""Prompts × n of one request."""

MOST_NEW = 1 << 31
"""A limit of new tokens beyond every model's."""

SHORT = 16
"""New tokens of a completion that names no limit: the protocol's own."""

Messages = tuple[Mapping[str, str], ...]
Completed = str | tuple[int, ...]
"""A text, or token ids."""


@dataclass(frozen=True)
class Ask:
    """What is asked.

    Attributes:
        chat: of /v1/chat/completions, else of /v1/completions.
        prompts: what is to be completed; none in a chat.
        messages: of a chat.
        n: answers to each prompt.
        limit: of new tokens; None: as many as a request that names none may have.
        limit_name: the field that says so.
        stops: texts that end an answer and are cut from it.
        top: alternatives whose probability is told at each token; None: not even the token's own.
        stream: answer token by token.
        usage: a last event of a stream counts tokens.
        variables: what the chat template may look at beside the messages.
    """

    chat: bool
    model: str
    prompts: tuple[Completed, ...]
    messages: Messages
    n: int
    limit: int | None
    limit_name: str
    sampling: Sampling
    stops: tuple[str, ...]
    top: int | None
    stream: bool
    usage: bool
    variables: Mapping[str, Any]


def fields_of(body: bytes) -> Fields:
    """The fields of a body; raises `Refused` where it is no JSON object."""
    try:
        data = parse_json(body)
    except ValueError as error:
        raise Refused(400, f"the body is not JSON ({error})", code="invalid_json") from None
    if not isinstance(data, dict):
        what = f"expected a JSON object, got {kind_of(data)}"
        raise Refused(400, f"the body: {what}", code="invalid_json")
    return Fields(data)


def chat_ask(body: bytes) -> Ask:
    """What a body of /v1/chat/completions asks; raises `Refused`."""
    fields = fields_of(body)
    messages = fields.take("messages")
    if not isinstance(messages, list) or not messages:
        raise wrong("messages", "expected a list of at least one message", "missing")
    prompt = tuple(_message(each, f"messages[{at}]") for at, each in enumerate(messages))
    wanted, top = fields.flag("logprobs"), fields.whole("top_logprobs", 0, 20)
    if top is not None and not wanted:
        raise wrong("top_logprobs", "needs logprobs: true")
    limits = {
        name: value
        for name in ("max_completion_tokens", "max_tokens")
        if (value := fields.whole(name, 1, MOST_NEW)) is not None
    }
    if len(set(limits.values())) > 1:
        raise wrong("max_tokens", "max_completion_tokens says another number")
    variables = _variables(fields)
    return _ask(
        fields,
        chat=True,
        prompts=(),
        messages=prompt,
        limit=next(iter(limits.values()), None),
        limit_name=next(iter(limits), "max_completion_tokens"),
        top=(top or 0) if wanted else None,
        variables=variables,
    )


def completion_ask(body: bytes) -> Ask:
    """What a body of /v1/completions asks; raises `Refused`."""
    fields = fields_of(body)
    return _ask(
        fields,
        chat=False,
        prompts=_prompts(fields.take("prompt")),
        messages=(),
        limit=fields.whole("max_tokens", 1, MOST_NEW) or SHORT,
        limit_name="max_tokens",
        top=fields.whole("logprobs", 0, 5),
        variables={},
    )


def _ask(fields: Fields, *, prompts: tuple[Completed, ...], **given: Any) -> Ask:
    """What both forms have in common."""
    model = fields.text("model")
    if model is None:
        raise wrong("model", "it is missing; GET /v1/models says its name", "missing")
    n = fields.whole("n", 1, MOST_ROWS) or 1
    if n * max(1, len(prompts)) > MOST_ROWS:
        what = f"{len(prompts)} prompts of {n} answers each are more than {MOST_ROWS} texts"
        raise wrong("n", what)
    temperature = fields.number("temperature", 0.0, 2.0)
    top_p = fields.number("top_p", 0.0, 1.0)
    top_k = fields.whole("top_k", -1, MOST_NEW)
    for name, value, none in (("top_p", top_p, 1.0), ("top_k", top_k, 0)):
        if temperature is None and value not in (None, none, -1):
            what = "answers are greedy unless a temperature is given; give both"
            raise wrong(name, what)
    seed = fields.whole("seed", -SEEDS, SEEDS - 1)
    sampling = Sampling(
        temperature or 0.0,
        1.0 if top_p is None else top_p,
        max(0, top_k or 0),
        secrets.randbits(62) if seed is None else seed,
    )
    stops, stream = fields.stops(), fields.flag("stream")
    options = fields.mapping("stream_options")
    if options is not None and not stream:
        raise wrong("stream_options", "needs stream: true")
    usage = _usage(options)
    fields.finish()
    return Ask(
        model=model, prompts=prompts, n=n, sampling=sampling, stops=stops, stream=stream,
        usage=usage, **given,
    )  # fmt: skip


def _usage(options: Mapping[str, Any] | None) -> bool:
    inner = Fields(options or {}, "stream_options.")
    usage = inner.flag("include_usage")
    if inner.flag("include_obfuscation"):
        raise wrong("stream_options.include_obfuscation", "this server does not support it")
    inner.finish()
    return usage


def _variables(fields: Fields) -> Mapping[str, Any]:
    given = fields.mapping("chat_template_kwargs")
    try:
        return variables_of(given or {}, "chat_template_kwargs")
    except BadInput as error:
        raise wrong("chat_template_kwargs", error.problems[0].what) from None


def _message(data: Any, where: str) -> Mapping[str, str]:
    """The role and content of a message; parts that are texts are joined."""
    if not isinstance(data, dict):
        raise wrong(where, f"expected an object, got {kind_of(data)}")
    fields = Fields(data, f"{where}.")
    role, content = fields.text("role"), fields.take("content")
    if role is None:
        raise wrong(f"{where}.role", "it is missing", "missing")
    if content is None:
        raise wrong(f"{where}.content", "it is missing", "missing")
    if isinstance(content, list):
        content = "".join(_part(each, f"{where}.content[{at}]") for at, each in enumerate(content))
    content = text(content, f"{where}.content")
    for name in ("tool_calls", "annotations"):  # what the client itself adds to a plain answer
        if not fields.take(name):
            continue
        raise wrong(f"{where}.{name}", "this server does not support it", "unsupported_parameter")
    fields.finish()
    return {"role": role, "content": content}


def _part(data: Any, where: str) -> str:
    if not isinstance(data, dict):
        raise wrong(where, f"expected an object, got {kind_of(data)}")
    if data.get("type") != "text":
        raise wrong(where, "only parts of type text are supported", "unsupported_parameter")
    return text(data.get("text"), f"{where}.text")


def _prompts(given: Any) -> tuple[Completed, ...]:
    """A text, token ids, or a list of either."""
    if isinstance(given, str):
        return (text(given, "prompt"),)
    if not isinstance(given, list) or not given:
        raise wrong("prompt", "expected a text, token ids, or a list of them", "missing")
    if all(_is_id(each) for each in given):
        return (tuple(given),)
    if len(given) > MOST_ROWS:
        raise wrong("prompt", f"expected at most {MOST_ROWS} prompts, got {len(given)}")
    found: list[Completed] = []
    for at, each in enumerate(given):
        if isinstance(each, list) and each and all(_is_id(one) for one in each):
            found.append(tuple(each))
        else:
            found.append(text(each, f"prompt[{at}]"))
    return tuple(found)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31
