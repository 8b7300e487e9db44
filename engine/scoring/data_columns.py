"""From a published record to our own fields, by the columns that a study names or a shape has.

    columns: {prompt: question, choices: endings, answer: label}

A name may lead inside (`choices.text`, `arguments.0`). `prompt` may be several columns: those that
are not empty, joined. Of a list of turns the first is the prompt. Lists in CSV cells are written as
JSON or as Python shows them.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from engine import apart
from engine.scoring.data_table import Unread, short
from engine.study_data import DataOptions

Use = Literal["prompt", "answer", "likelihood", "choices"]
"""What a scorer needs of a row: nothing but a prompt; a target to compare with; a target to
measure; choices."""

_LONGEST = 10_000_000
"""Characters of a cell that is parsed as a list."""

_missing = object()


class Fields(NamedTuple):
    """A record by our names, not yet checked; absent fields are None.

    Attributes:
        targets: each one accepted.
        labels: of the choices, where they have some.
        right: index of the right choice where the data say it by their form.
        whole: there is no prompt by nature: the text itself is measured.
    """

    prompt: Any = None
    messages: Any = None
    targets: tuple[Any, ...] | None = None
    choices: Any = None
    answer: Any = None
    labels: tuple[str, ...] = ()
    right: int | None = None
    whole: bool = False


def find(record: Mapping[str, Any], name: str) -> Any:
    """The value of a column, or of a place inside one; raises `Unread` if there is none."""
    found = _find(record, name)
    if found is _missing:
        raise Unread(f"has no {name!r} (keys: {', '.join(map(str, record)) or 'none'})")
    return found


def _find(value: Any, name: str) -> Any:
    if isinstance(value, Mapping) and name in value:
        return value[name]
    head, dot, rest = name.partition(".")
    while dot:
        if isinstance(value, Mapping) and head in value:
            return _find(value[head], rest)
        if isinstance(value, list) and head.isdigit() and int(head) < len(value):
            return _find(value[int(head)], rest)
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    if isinstance(value, list) and name.isdigit() and int(name) < len(value):
        return value[int(name)]
    return _missing


def listed(value: Any, untyped: bool) -> Any:
    """A list or object that a CSV cell holds as a text; anything else as it is."""
    if not untyped or not isinstance(value, str) or value.strip()[:1] not in ("[", "{"):
        return value
    if len(value) > _LONGEST:
        raise Unread(f"holds a list of {len(value)} characters in one cell")
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        # ['a' 'b'], as NumPy prints a list, would silently become ['ab']
        kinds = [
            each.type
            for each in tokenize.generate_tokens(io.StringIO(value).readline)
            if each.type not in (tokenize.NL, tokenize.NEWLINE)
        ]
        if any(a == b == tokenize.STRING for a, b in pairwise(kinds)):
            raise Unread(f"holds {short(value)}, a list printed by NumPy", "Save it as JSON.")
        return ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
        fix = 'Write lists in cells as JSON: ["a", "b"].'
        raise Unread(f"holds {short(value)}, which is not a list", fix) from None


def spelt(record: Mapping[str, Any], untyped: bool) -> Mapping[str, Any]:
    """A record whose cells that hold a list or an object are such; others as they are."""
    if not untyped:
        return record
    found = {}
    for name, value in record.items():
        try:
            found[name] = listed(value, untyped)
        except Unread:
            found[name] = value
    return found


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """A whole number of a published column as the text that it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(frozen=True)
class Columns:
    """Reads records by a mapping.

    Attributes:
        options: the mapping and what belongs to it, names as they are in the file.
        untyped: cells are texts (CSV, TSV).
        searched: target -> what `target_pattern` finds in it.
    """

    options: DataOptions
    untyped: bool = False
    searched: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def read(self, record: Mapping[str, Any], use: Use) -> Fields:
        """The fields that a use needs; raises `Unread` for what is not there or cannot be read."""
        columns = self.options.columns
        if self.untyped and any("." in e for v in columns.values() for e in _several(v)):
            record = spelt(record, self.untyped)
        prompt, messages, whole = None, None, False
        if "messages" in columns:
            messages = self._messages(find(record, str(columns["messages"])))
        elif "prompt" in columns:
            prompt = self._prompt(record, _several(columns["prompt"]))
        else:
            prompt, whole = "", True
        targets = None
        if use in ("answer", "likelihood"):
            targets = self._targets(record)
        if use != "choices":
            return Fields(prompt, messages, targets, whole=whole)
        if "right" in columns:
            right = self._list(record, "right")[:1]
            choices = [*right, *(each for each in self._list(record, "wrong") if each not in right)]
            return Fields(prompt, messages, choices=choices, right=0)
        choices, labels = self._choices(record)
        if self.options.blank is not None and isinstance(prompt, str):
            prompt, choices = _blanked(prompt, choices, self.options.blank)
        answer = find(record, str(columns["answer"])) if "answer" in columns else None
        return Fields(prompt, messages, choices=choices, answer=answer, labels=labels)

    def _prompt(self, record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
        if len(names) == 1:
            value = find(record, names[0])
            turns = listed(value, self.untyped)
            if isinstance(turns, list) and turns and isinstance(turns[0], str):
                return turns[0]
            return value
        there = {name: value for name in names if (value := _find(record, name)) is not _missing}
        for name, each in there.items():
            if each is not None and not isinstance(each, str):
                raise Unread(f"{name} must be a string, got {short(each)}")
        kept = [each for each in there.values() if each]
        if not kept:
            raise Unread(f"is empty in {' and '.join(names)}", "One of them must hold the prompt.")
        return self.options.join.join(kept)

    def _messages(self, value: Any) -> Any:
        value = listed(value, self.untyped)
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            return [{"role": "user", "content": each} for each in value]
        return value

    def _split(self, value: Any) -> list[Any]:
        """The texts of one value: a list's, those of {text: [...]}, of a text with separators."""
        value = listed(value, self.untyped)
        if isinstance(value, Mapping) and "text" in value:
            value = value["text"]
        if isinstance(value, str) and self.options.separator is not None:
            return [each.strip() for each in value.split(self.options.separator) if each.strip()]
        values = value if isinstance(value, list) else [value]
        return [_number(each) for each in values]

    def _list(self, record: Mapping[str, Any], field: str) -> list[Any]:
        """The texts of all columns of a field, each once."""
        found: list[Any] = []
        for name in _several(self.options.columns[field]):
            value = find(record, name)
            if value in (None, ""):
                continue
            for each in self._split(value):
                if each not in found:
                    found.append(each)
        return found

    def _targets(self, record: Mapping[str, Any]) -> tuple[Any, ...] | None:
        values = self._whole(record)
        return None if values is None else tuple(map(self._part, values))

    def _whole(self, record: Mapping[str, Any]) -> list[Any] | None:
        """The targets as they stand there."""
        columns = self.options.columns
        name = "targets" if "targets" in columns else "target"
        if name not in columns:
            return None
        values = self._list(record, name)
        if name == "target" and not values:
            values = [find(record, str(columns[name]))]
        return values

    def prepare(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Have the parts of all targets ready: together they cost little.

        Raises:
            Unread: the pattern takes too long.
        """
        pattern = self.options.target_pattern
        if pattern is None:
            return
        texts: dict[str, None] = {}
        for record in records:
            with contextlib.suppress(Unread):  # told of its row
                texts |= dict.fromkeys(e for e in self._whole(record) or () if isinstance(e, str))
        found = apart.match([pattern], list(texts))
        self.searched.update(zip(texts, found, strict=True))
        if found and isinstance(found[-1], apart.Failed):
            raise _stopped(pattern, found[-1])

    def _part(self, value: Any) -> Any:
        """What of a target counts."""
        pattern = self.options.target_pattern
        if pattern is None or not isinstance(value, str):
            return value
        if value not in self.searched:
            [self.searched[value]] = apart.match([pattern], [value])
        found = self.searched[value]
        if isinstance(found, apart.Failed):
            raise _stopped(pattern, found)
        if found is None:
            raise Unread(f"target_pattern {pattern!r} does not match the target {short(value)}")
        part = found.group if apart.groups(pattern) else found.whole
        return (part or "").strip()

    def _choices(self, record: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
        """(choices, their labels) of a list of texts, of {text, label}, of a list of such, of
        {label: text}, or of columns that hold one each."""
        names = _several(self.options.columns["choices"])
        if len(names) > 1:
            return [_number(find(record, name)) for name in names], ()
        value = listed(find(record, names[0]), self.untyped)
        if isinstance(value, Mapping) and isinstance(value.get("text"), list):
            labels = value.get("label")
            return list(value["text"]), _labels(labels, len(value["text"]))
        if isinstance(value, Mapping):  # {"A": …, "B": …}
            there = {name: text for name, text in value.items() if text is not None}
            return [_number(each) for each in there.values()], tuple(map(str, there))
        if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
            if all({"text", "label"} <= set(each) for each in value):
                texts = [each["text"] for each in value]
                return texts, _labels([each["label"] for each in value], len(value))
            return value, ()
        if isinstance(value, str) and self.options.separator is not None:
            return self._split(value), ()
        return [_number(e) for e in value] if isinstance(value, list) else value, ()


def _labels(labels: Any, size: int) -> tuple[str, ...]:
    if not isinstance(labels, list) or len(labels) != size:
        raise Unread(f"there are {size} choices, but the labels are {short(labels)}")
    return tuple(str(each) for each in labels)


def _stopped(pattern: str, failed: apart.Failed) -> Unread:
    return Unread(f"target_pattern {pattern!r} was stopped: {failed.what}", "Simplify it.")


def _blanked(prompt: str, choices: Any, blank: str) -> tuple[str, Any]:
    """What stands before the blank, and each choice with what stands behind it."""
    if prompt.count(blank) != 1:
        raise Unread(f"contains the blank {blank!r} {prompt.count(blank)} times, not once")
    before, _, after = prompt.partition(blank)
    if isinstance(choices, list) and all(isinstance(each, str) for each in choices):
        choices = [f"{each}{after}" for each in choices]
    return before.rstrip(), choices
