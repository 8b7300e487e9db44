"""Data of an objective: JSON Lines in, rows of one split out, every problem with its file and line.

    {"prompt": "…", "target": "…"}                       or "targets": ["…", …]
    {"prompt": "…", "choices": ["…", …], "answer": 0}    or the text of a choice
    {"messages": [{"role": "user", "content": "…"}, …]}  in place of a prompt; a last message of
                                                         the assistant is the target

Other keys are left alone; blank lines and a byte order mark are skipped. Which rows are held back
for the report and which a limit keeps depends on a row's prompt (or messages) alone, so it survives
reordering and added rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem, bad
from engine.recipe import FrozenDict
from engine.scoring.registry import Needs, find_scorer
from engine.study import Objective, Split

SHOWN = 20
"""Problems listed of one file; the rest is counted."""

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Row:
    """One example.

    Attributes:
        index: place among the rows of its file, from 0.
        line: line of its file, from 1.
        key: sha256 hex of the prompt, or of the canonical JSON of the messages.
        prompt: None where the row holds messages.
        messages: what the model reads, a last assistant message taken off; None where the row holds
            a prompt.
        targets: accepted answers, the first of them the one whose likelihood is measured.
        answer: index of the right choice.
    """

    index: int
    line: int
    key: str
    prompt: str | None = None
    messages: tuple[Mapping[str, Any], ...] | None = None
    targets: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    answer: int | None = None

    def held_back(self, fraction: float) -> bool:
        """Whether the row belongs to the report split when this share of the data does."""
        return int(self.key[:8], 16) / 2**32 < fraction


def canonical_messages(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text whose hash places a row of messages."""
    return json.dumps(list(messages), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_bytes(path: Path, where: str) -> bytes:
    """A data file's content; raises `BadInput` where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise bad(f"{where}: {path}", "there is no such file", "Mend the path.") from None
    except OSError as error:
        raise bad(f"{where}: {path}", f"cannot be read: {error.strerror}") from error


class _Bad(Exception):
    """What is wrong with a row, and what to do."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise _Bad(f"{what} must be a text, got {_short(value)}", "Put it in quotes.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Bad(f"{what} holds half of a surrogate pair, which is not text") from None
    return value


def _texts(value: Any, what: str, least: int) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) < least:
        raise _Bad(f"{what} must be a list of at least {least} texts, got {_short(value)}")
    return tuple(_text(each, f"{what}[{place}]") for place, each in enumerate(value))


def _messages(value: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list) or not value:
        raise _Bad(f"messages must be a list of messages, got {_short(value)}")
    for place, each in enumerate(value):
        if not isinstance(each, dict) or not {"role", "content"} <= set(each):
            raise _Bad(f"messages[{place}] needs a role and a content, got {_short(each)}")
        _text(each["role"], f"messages[{place}].role")
        _text(each["content"], f"messages[{place}].content")
    return tuple(value)


def _targets(record: Mapping[str, Any], spoken: str | None, wanted: bool) -> tuple[str, ...]:
    """The accepted answers; `spoken` is the content of a last assistant message."""
    given = [name for name in ("target", "targets") if name in record]
    if not wanted:
        return ()
    if spoken is not None:
        given.append("a last assistant message")
    if len(given) > 1:
        raise _Bad(f"has {' and '.join(given)}", "Keep one of them.")
    if not given:
        keys = ", ".join(record)
        raise _Bad(f"has neither target nor targets (keys: {keys})", "The scorer compares with it.")
    if spoken is not None:
        return (spoken,)
    if given[0] == "target":
        return (_text(record["target"], "target"),)
    return _texts(record["targets"], "targets", 1)


def _answer(record: Mapping[str, Any], choices: tuple[str, ...]) -> int:
    answer = record["answer"]
    if isinstance(answer, str) and answer in choices:
        return choices.index(answer)
    if isinstance(answer, bool) or not isinstance(answer, int):
        fix = "Give the index of a choice, from 0, or its text."
        raise _Bad(f"answer {_short(answer)} is none of the choices {_short(list(choices))}", fix)
    if not 0 <= answer < len(choices):
        fix = "An index counts from 0."
        raise _Bad(f"answer {answer} is out of range: there are {len(choices)} choices", fix)
    return answer


def _row(record: Any, index: int, line: int, needs: Needs, empty_target: bool) -> Row:
    if not isinstance(record, dict):
        fix = "A line holds one JSON object; a file is not one JSON list."
        raise _Bad(f"expected an object, got {_short(record)}", fix)
    if ("prompt" in record) == ("messages" in record):
        keys = ", ".join(record) or "none"
        raise _Bad(f"needs either prompt or messages (keys: {keys})")
    prompt, messages, spoken = None, None, None
    if "prompt" in record:
        identity = prompt = _text(record["prompt"], "prompt")
    else:
        messages = _messages(record["messages"])
        identity = _text(canonical_messages(messages), "messages")
        if messages[-1]["role"] == "assistant":
            spoken, messages = messages[-1]["content"], messages[:-1]
        if not messages:
            raise _Bad("messages holds nothing to answer", "Begin with a user message.")
    targets = _targets(record, spoken, needs == "target")
    if not empty_target and "" in targets:
        raise _Bad("the target is empty", "The scorer has nothing to measure there.")
    choices: tuple[str, ...] = ()
    answer = None
    if needs == "choices":
        missing = [name for name in ("choices", "answer") if name not in record]
        if missing:
            raise _Bad(f"has no {' and no '.join(missing)} (keys: {', '.join(record)})")
        choices = _texts(record["choices"], "choices", 2)
        answer = _answer(record, choices)
    return Row(
        index=index,
        line=line,
        key=hashlib.sha256(identity.encode()).hexdigest(),
        prompt=prompt,
        messages=None if messages is None else tuple(FrozenDict(each) for each in messages),
        targets=targets,
        choices=choices,
        answer=answer,
    )


def _record(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _Bad(f"is not UTF-8 (byte {error.start + 1})", "Save the file as UTF-8.") from None
    except json.JSONDecodeError as error:
        fix = "Each line is one JSON object."
        raise _Bad(f"is not JSON: {error.msg} at column {error.colno}", fix) from None
    except (ValueError, RecursionError) as error:
        raise _Bad(f"is not usable JSON: {error}") from None


@lru_cache(maxsize=32)
def _parse(
    content: bytes, needs: Needs, empty_target: bool
) -> tuple[tuple[Row, ...], tuple[tuple[int, str, str], ...]]:
    """Rows and problems (line, what, fix) of a file's content; the same content is parsed once."""
    rows: list[Row] = []
    problems: list[tuple[int, str, str]] = []
    for number, line in enumerate(content.removeprefix(BOM).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_row(_record(line), len(rows), number, needs, empty_target))
        except _Bad as error:
            problems.append((number, error.what, error.fix))
    return tuple(rows), tuple(problems)


def read_file(path: Path, objective: Objective) -> tuple[Row, ...]:
    """Every row of a data file, checked for the objective's scorer.

    Raises:
        BadInput: the file cannot be read or is empty, or all that is wrong with its lines (the
            first 20 in full).
    """
    where = f"objective {objective.name}"
    found = find_scorer(objective.scorer, where)
    needs = found.needs_of(found.resolve(objective.options, where))
    rows, problems = _parse(read_bytes(path, where), needs, found.empty_target)
    if problems:
        listed = [Problem(f"{path}:{line}", what, fix) for line, what, fix in problems[:SHOWN]]
        if len(problems) > SHOWN:
            what = f"{len(problems) - SHOWN} more lines cannot be used"
            listed.append(Problem(f"{path}", what, f"{found.name} needs: {needs}."))
        raise BadInput(*listed)
    if not rows:
        raise bad(f"{path}", "the file holds no rows", "Give at least one JSON object a line.")
    return rows


def limited(rows: Sequence[Row], limit: int | None) -> tuple[Row, ...]:
    """The `limit` rows of smallest key (then place), in file order; all of them without a limit."""
    if limit is None or limit >= len(rows):
        return tuple(rows)
    kept = sorted(rows, key=lambda row: (row.key, row.index))[:limit]
    return tuple(sorted(kept, key=lambda row: row.index))


def data_file(objective: Objective, split: Split) -> Path | None:
    """The file that a split's rows come from."""
    return (split == "report" and objective.report_data) or objective.data


def read_rows(objective: Objective, split: Split) -> tuple[Row, ...]:
    """The rows of one split of an objective, in file order; none for a scorer without data.

    Raises:
        BadInput: anything wrong with the file, or no row in this split.
    """
    path = data_file(objective, split)
    if path is None:
        return ()
    rows = read_file(path, objective)
    if objective.report_data is not None:
        return limited(rows, objective.limit)
    fraction = objective.report_fraction
    kept = [row for row in rows if row.held_back(fraction) == (split == "report")]
    if not kept:
        what = (
            f"none of its {len(rows)} rows is in the {split} split at report_fraction {fraction:g}"
        )
        fix = "Give more rows, change report_fraction, or name a file with report_data."
        raise bad(f"{path}: objective {objective.name}", what, fix)
    return limited(kept, objective.limit)
