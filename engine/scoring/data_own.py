"""Our own form of a row, and how fields of any origin become a checked `Row`.

    {"prompt": "…", "target": "…"}                       or "targets": ["…", …]
    {"prompt": "…", "choices": ["…", …], "answer": 0}    or the text or letter of a choice
    {"messages": [{"role": "user", "content": "…"}, …]}  in place of a prompt; a last message of
                                                         the assistant is the target

Other keys are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.scoring.data_answers import Asked
from engine.scoring.data_columns import Fields, Use, listed
from engine.scoring.data_row import (
    Row,
    canonical_messages,
    collapsed,
    frozen,
    key_of,
    messages_of,
    placed_by,
    plainly_spaced,
    question_of,
    text_of,
    texts_of,
)
from engine.scoring.data_table import Unread

BOTH = "State which: columns: {prompt: prompt} or columns: {messages: messages}."
"""Which of two columns is the answer if a file has both."""


def own_fields(record: Mapping[str, Any], use: Use, untyped: bool) -> Fields:
    """The fields of a record in our own form; raises `Unread` where it is not."""
    if ("prompt" in record) == ("messages" in record):
        keys = ", ".join(map(str, record)) or "none"
        what = f"needs either prompt or messages (keys: {keys})"
        raise Unread(what, BOTH if "prompt" in record else "")
    prompt, messages, targets = record.get("prompt"), None, None
    if "messages" in record:
        messages = listed(record["messages"], untyped) or []
    if use in ("answer", "likelihood"):
        targets = _targets(record, untyped)
    if use != "choices":
        return Fields(prompt, messages, targets)
    missing = [name for name in ("choices", "answer") if name not in record]
    if missing:
        raise Unread(f"has no {' and no '.join(missing)} (keys: {', '.join(record)})")
    choices = listed(record["choices"], untyped)
    return Fields(prompt, messages, choices=choices, answer=record["answer"])


def _targets(record: Mapping[str, Any], untyped: bool) -> tuple[Any, ...] | None:
    if "target" in record and "targets" in record:
        raise Unread("has target and targets", "Keep one of them.")
    if "target" in record:
        return (record["target"],)
    if "targets" not in record:
        return None
    return texts_of(listed(record["targets"], untyped), "targets", 1)


def build(
    fields: Fields,
    record: Mapping[str, Any],
    place: tuple[int, int, bool],
    use: Use,
    empty_target: bool,
) -> tuple[Row, Asked | None]:
    """The row of a record's fields, and for choices the answer that the whole file will tell.

    Args:
        place: the row's index; its line, or its number from 1; whether that is a number.

    Raises:
        Unread: what is missing, or not what it should be.
    """
    prompt, messages, spoken = None, None, None
    if fields.messages is not None:
        messages = messages_of(fields.messages)
        identity = text_of(canonical_messages(messages), "messages")
        if messages[-1]["role"] == "assistant":
            spoken, messages = messages[-1]["content"], messages[:-1]
        if not messages:
            raise Unread("messages has nothing to answer", "Begin with a user message.")
    else:
        identity = prompt = text_of(fields.prompt, "prompt")
    targets: tuple[str, ...] = ()
    if use in ("answer", "likelihood"):
        targets = _said(fields, record, spoken)
        if not empty_target and "" in targets:
            raise Unread(
                "the target is empty",
                "Give a target, or remove the row: the scorer has nothing to measure.",
            )
        if fields.whole:
            identity = targets[0]
    placed = plainly_spaced(identity) if fields.whole else placed_by(prompt, messages)
    question = collapsed(identity) if fields.whole else question_of(prompt, messages)
    choices: tuple[str, ...] = ()
    asked = None
    if use == "choices":
        choices = texts_of(fields.choices, "choices", 2)
        if fields.right is None:
            asked = Asked(fields.answer, choices, fields.labels)
    return (
        Row(
            index=place[0],
            line=place[1],
            key=key_of(identity if placed is None else placed),
            exact=key_of(identity),
            question=key_of(question),
            prompt=prompt,
            messages=None if messages is None else frozen(messages),
            targets=targets,
            choices=choices,
            answer=fields.right,
            numbered=place[2],
        ),
        asked,
    )


def _said(fields: Fields, record: Mapping[str, Any], spoken: str | None) -> tuple[str, ...]:
    """The accepted answers; `spoken` is the content of a last assistant message."""
    if fields.targets is not None and spoken is not None:
        name = "targets" if "targets" in record else "target"
        raise Unread(f"has {name} and a last assistant message", "Keep one of them.")
    if spoken is not None:
        return (spoken,)
    if fields.targets is None:
        keys = ", ".join(map(str, record))
        what = f"has neither target nor targets (keys: {keys})"
        raise Unread(what, "The scorer needs it to compare with.")
    if not fields.targets:
        raise Unread("has an empty list of targets", "Give at least one target to compare with.")
    return tuple([text_of(each, "target") for each in fields.targets])
