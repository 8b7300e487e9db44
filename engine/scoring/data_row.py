"""One example: what it holds, how it is placed, and how its texts and messages are checked.

    fields of a record, by our names ──► Row       prompt or messages; target(s); choices, answer

Which rows are held back for the report and which a limit keeps depends on a row's question alone,
so it survives reordering and added rows, and a question is on one side in any form that it takes:
as a prompt, as one user message, with other whitespace (`data_distinct`). A row without a prompt
(a text whose perplexity is measured as a whole) is placed by its text.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.recipe import FrozenDict
from engine.scoring.data_table import Unread, short

SPEAKERS: dict[str, str] = {
    "human": "user", "user": "user", "prompter": "user", "gpt": "assistant", "chatgpt": "assistant",
    "bard": "assistant", "bing": "assistant", "model": "assistant", "assistant": "assistant",
    "system": "system", "tool": "tool", "observation": "tool",
}  # fmt: skip
"""Who speaks in messages of the form {from, value}, and the role that it is."""


_LINE_END = re.compile("\r\n?|[\x85\u2028\u2029]")
_ODD_SPACE = re.compile(r"[^\S\n\t ]")


@dataclass(frozen=True)
class Row:
    """One example.

    Attributes:
        index: place among the rows of its file, from 0.
        line: line of its file, from 1; of a Parquet file the row, from 1.
        key: sha256 hex, which places the row: of `placed_by`, or of the question where a file has
            it in several forms.
        question: sha256 hex of the question (`question_of`), the same in each form of it.
        exact: sha256 hex of the prompt, or of the canonical JSON of the messages, as they stand.
        prompt: None if the row holds messages.
        messages: what the model reads, a last assistant message taken off; None if the row holds
            a prompt.
        targets: accepted answers, the first of them the one whose likelihood is measured.
        answer: index of the right choice.
        numbered: whether `line` counts rows, as in a Parquet file.
    """

    index: int
    line: int
    key: str
    prompt: str | None = None
    messages: tuple[Mapping[str, Any], ...] | None = None
    targets: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    answer: int | None = None
    numbered: bool = False
    exact: str = ""
    question: str = ""

    def place(self, path: Path | None) -> str:
        """Where the row stands in its file, for an error."""
        return f"{path}: row {self.line}" if self.numbered else f"{path}:{self.line}"

    def held_back(self, fraction: float) -> bool:
        """Whether the row belongs to the report split when this share of the data does."""
        return in_report(self.key, fraction)


def in_report(key: str, fraction: float) -> bool:
    """Whether what has this key is held back when this share of the data is."""
    return int(key[:8], 16) / 2**32 < fraction


def collapsed(text: str) -> str:
    """The text in composed characters, without whitespace around it, each run within one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def plainly_spaced(text: str) -> str:
    """The text in composed characters, stripped, with line feeds, tabs and spaces alone."""
    text = unicodedata.normalize("NFC", text).strip()
    return _ODD_SPACE.sub(" ", _LINE_END.sub("\n", text))


def placed_by(prompt: str | None, messages: Sequence[Mapping[str, Any]] | None) -> str | None:
    """The text whose hash places a row: its prompt or its one user message, without whitespace
    around it, in composed characters and plain spaces and line ends; None for other messages,
    which are placed as they stand.

    Args:
        messages: without a last one of the assistant, which is an answer.
    """
    if messages is not None:
        if len(messages) != 1 or messages[0]["role"] != "user":
            return None
        prompt = messages[0]["content"]
    return plainly_spaced(prompt or "")


def question_of(prompt: str | None, messages: Sequence[Mapping[str, Any]] | None) -> str:
    """The question as one text, the same in each form of it.

    Args:
        messages: without a last one of the assistant, which is an answer.
    """
    if messages is None:
        return collapsed(prompt or "")
    if len(messages) == 1 and messages[0]["role"] == "user":
        return collapsed(messages[0]["content"])
    return canonical_messages(
        [{**each, "content": collapsed(each["content"])} for each in messages]
    )


def canonical_messages(messages: Sequence[Mapping[str, Any]]) -> str:
    """Messages as one text."""
    return json.dumps(list(messages), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def key_of(identity: str) -> str:
    """sha256 hex of what places a row."""
    return hashlib.sha256(identity.encode()).hexdigest()


def text_of(value: Any, what: str) -> str:
    """A text; raises `Unread` for anything else."""
    if not isinstance(value, str):
        fix = "Put it in quotes."
        if isinstance(value, list) and what == "target":
            fix = "Use targets for a list of accepted answers."
        raise Unread(f"{what} must be a string, got {short(value)}", fix)
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unread(f"{what} contains half of a surrogate pair, which is not valid text") from None
    return value


def texts_of(value: Any, what: str, least: int) -> tuple[str, ...]:
    """A list of at least `least` texts; raises `Unread` for anything else."""
    if not isinstance(value, list) or len(value) < least:
        raise Unread(f"{what} must be a list of at least {least} strings, got {short(value)}")
    return tuple(text_of(each, f"{what}[{place}]") for place, each in enumerate(value))


def _content(value: Any, what: str) -> str:
    """A message's text: a text, or the text parts of a list, joined."""
    if not isinstance(value, list):
        return text_of(value, what)
    parts = []
    for place, part in enumerate(value):
        here = f"{what}[{place}]"
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            said = (
                f"{what} must be a string, or a list of parts with a type; {here} is {short(part)}"
            )
            raise Unread(said)
        if part["type"] not in ("text", "input_text", "output_text"):
            said = f"{here} is a part of type {part['type']!r}: only text is supported"
            raise Unread(said, "Remove such rows, or remove the part.")
        parts.append(text_of(part.get("text"), f"{here}.text"))
    if not parts:
        raise Unread(f"{what} must be a string, got {short(value)}")
    return "".join(parts)


def messages_of(value: Any) -> tuple[Mapping[str, Any], ...]:
    """Messages with a role and a text each.

    {from, value} and {role, text} become {role, content}; lists of text parts are joined; a list of
    texts is one user message each.

    Raises:
        Unread: anything else, parts that are no text, and speakers that are not known.
    """
    if not isinstance(value, list) or not value:
        raise Unread(f"messages must be a list of messages, got {short(value)}")
    found: list[Mapping[str, Any]] = []
    for place, each in enumerate(value):
        here = f"messages[{place}]"
        if isinstance(each, dict) and {"from", "value"} <= set(each):
            each = {"role": _role(each["from"], here), "content": each["value"]}
        elif isinstance(each, dict) and "content" not in each and {"role", "text"} <= set(each):
            each = {"role": _role(each["role"], here), "content": each["text"]}
        if not isinstance(each, dict) or not {"role", "content"} <= set(each):
            raise Unread(f"{here} needs a role and a content, got {short(each)}")
        text_of(each["role"], f"{here}.role")
        content = _content(each["content"], f"{here}.content")
        found.append(each if each["content"] is content else {**each, "content": content})
    return tuple(found)


def _role(speaker: Any, here: str) -> str:
    name = text_of(speaker, f"{here}.from").strip().lower()
    if name not in SPEAKERS:
        fix = f"Known roles: {', '.join(SPEAKERS)}."
        raise Unread(f"{here} has the unknown role {speaker!r}", fix)
    return SPEAKERS[name]


def frozen(messages: Sequence[Mapping[str, Any]]) -> tuple[FrozenDict, ...]:
    """The messages as a row keeps them."""
    return tuple(FrozenDict(each) for each in messages)
