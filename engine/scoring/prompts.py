"""Problems with the prompts of an objective, found without a model: messages that ask nothing,
roles that the chat template refuses, prompts without tokens, prompts that are too long.

A text has no more tokens than bytes, so only long ones are encoded: the longest first, and the rest
where one of those is too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem
from engine.family.light_text import LightText
from engine.family.text import thawed
from engine.scoring.data_row import Row
from engine.scoring.encoding import delimiter
from engine.scoring.registry import find_scorer
from engine.study import Objective

SHOWN = 20
LONGEST = 32
SLACK = 16
"""Bytes that a tokenizer may add to a text: a space in front, say."""


def _templated(row: Row, objective: Objective) -> bool:
    return objective.chat or row.messages is not None


def _messages(row: Row) -> Sequence[Any]:
    return row.messages or ({"role": "user", "content": row.prompt or ""},)


def ending_problems(objective: Objective, path: Path, rows: Sequence[Row]) -> list[Problem]:
    """Rows whose messages end so that nothing is asked."""
    found = []
    for row in rows:
        if row.messages is None or row.messages[-1]["role"] not in ("assistant", "system"):
            continue
        role = row.messages[-1]["role"]
        what = f"its last message is from the {role}, so there is nothing to answer"
        if role == "assistant":
            what = "it ends with two assistant messages in a row"
        fix = "End with a user message; an assistant message after it is the target."
        found.append(Problem(row.place(path), what, fix))
    return _few(found, path)


def choice_problems(objective: Objective, path: Path, rows: Sequence[Row]) -> list[Problem]:
    """Empty choices where nothing would be measured of them, or a mean over nothing."""
    if find_scorer(objective.scorer).kind != "choice":
        return []
    means = objective.options.get("normalize") in ("chars", "bytes")
    found = []
    for row in rows:
        if "" not in row.choices or not (means or not delimiter(row, objective, "")):
            continue
        what = "a choice is empty, so there is nothing to measure"
        fix = "Give it a text, or remove the row."
        found.append(Problem(row.place(path), what, fix))
    return _few(found, path)


def _few(problems: list[Problem], path: Path) -> list[Problem]:
    if len(problems) <= SHOWN:
        return problems
    what = f"{len(problems) - SHOWN} more rows with the same problem"
    return [*problems[:SHOWN], Problem(str(path), what, "Correct or remove these rows.")]


@dataclass(frozen=True)
class _Text:
    """The text of one row that a model reads first, and what may follow it.

    Attributes:
        follows: texts, one of which is measured behind it.
        more: tokens that follow beside these.
    """

    row: Row
    text: str
    follows: tuple[str, ...]
    more: int
    opened: bool

    @property
    def longest(self) -> str:
        return self.text + max(self.follows, key=len, default="")

    @property
    def most(self) -> int:
        """No text has more tokens than this."""
        return len(self.longest.encode()) + SLACK + self.more


def prompt_problems(
    objective: Objective, path: Path, rows: Sequence[Row], text: LightText
) -> list[Problem]:
    """What is wrong with these rows' prompts for the models of a family.

    Args:
        objective: checked, its options resolved.
    """
    scorer = find_scorer(objective.scorer)
    generates = scorer.generates
    refused, overhead = _rendered(objective, path, rows, text)
    if refused:
        return _few(refused, path)
    texts = []
    for row in rows:
        own = not _templated(row, objective)
        shown = text.words.prefix + (row.prompt or "")
        if not own:
            shown = "".join(str(each["content"]) for each in _messages(row))
        follows = () if generates else (row.choices or row.targets[:1])
        more = objective.max_new_tokens if generates else 0
        more += 0 if own else overhead + 1
        texts.append(_Text(row, shown, follows, more, own))
    return _few(
        [
            *_empty(objective, path, texts, text, generates),
            *_long(objective, path, texts, text, generates),
        ],
        path,
    )


def _rendered(
    objective: Objective, path: Path, rows: Sequence[Row], text: LightText
) -> tuple[list[Problem], int]:
    """(problems, most bytes that the template adds), from the longest row of each order of
    roles."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if _templated(row, objective):
            roles = tuple(str(each["role"]) for each in _messages(row))
            groups.setdefault(roles, []).append(row)
    overhead, refused = 0, dict[str, list[tuple[tuple[str, ...], list[Row]]]]()
    if text.template is None or text.problem is not None or not groups:
        return [], 0
    longest = [
        max(those, key=lambda each: sum(len(m["content"]) for m in _messages(each)))
        for those in groups.values()
    ]
    texts = text.render_all(
        [_messages(each) for each in longest], thawed(objective.template_kwargs)
    )
    for (roles, those), row, rendered in zip(groups.items(), longest, texts, strict=True):
        if isinstance(rendered, BadInput):
            [problem] = rendered.problems
            refused.setdefault(problem.what, []).append((roles, those))
        else:
            own = sum(len(str(each["content"]).encode()) for each in _messages(row))
            overhead = max(overhead, len(rendered.encode("utf-8", "replace")) - own)
    problems = []
    for said, orders in refused.items():
        roles, those = orders[0]
        rows_more = sum(len(rows) for _, rows in orders) - 1
        many = f"; so do {rows_more} more rows with" if rows_more else "; it has"
        others = f" and {len(orders) - 1} more orders of roles" if len(orders) > 1 else ""
        what = f"{text.whose}{said}{many} the roles {', '.join(roles)}{others}"
        another = "correct its template" if text.whose else "set `tokenizer:` to another model"
        fix = f"Correct the messages, or {another}."
        problems.append(Problem(those[0].place(path), what, fix))
    return problems, overhead


def _empty(
    objective: Objective, path: Path, texts: Sequence[_Text], text: LightText, generates: bool
) -> list[Problem]:
    """Prompts that no token stands for."""
    rows = [each.row for each in texts if each.opened and not each.text]
    if not rows or text.opening is None or text.opening:
        return []
    if not generates and {"bos_token", "eos_token"} & text.named.keys():
        return []
    what = "the prompt has no tokens: it is empty, and the tokenizer adds none in front"
    fix = "Give a text, or use chat: true."
    return [Problem(row.place(path), what, fix) for row in rows]


def _long(
    objective: Objective, path: Path, texts: Sequence[_Text], text: LightText, generates: bool
) -> list[Problem]:
    """Prompts that do not fit the models' positions with what follows them."""
    window = text.window
    if window is None:
        return []
    opening = 8  # more than any tokenizer puts in front
    maybe = sorted((each for each in texts if each.most + opening > window), key=lambda e: -e.most)
    first = _over(objective, path, maybe[:LONGEST], text, generates)
    if not first:
        return []
    rest = _over(objective, path, maybe[LONGEST:], text, generates)
    return [problem for _, problem in sorted([*first, *rest], key=lambda each: each[0])]


def _over(
    objective: Objective, path: Path, texts: Sequence[_Text], text: LightText, generates: bool
) -> list[tuple[int, Problem]]:
    """(row index, problem) of the texts that are too long, encoded as in an evaluation."""
    templated = [each for each in texts if not each.opened]
    written = text.render_all(
        [_messages(each.row) for each in templated], thawed(objective.template_kwargs)
    )
    shown = {
        id(each): said
        for each, said in zip(templated, written, strict=True)
        if not isinstance(said, BadInput)  # an evaluation says what is wrong
    }
    texts = [each for each in texts if each.opened or id(each) in shown]
    whole = [
        shown.get(id(each), each.text) + max(each.follows, key=len, default="") for each in texts
    ]
    counts = text.counts(whole)
    if counts is None or text.window is None:
        return []
    found = []
    for each, count in zip(texts, counts, strict=True):
        count += (text.opening or 0) if each.opened else 0
        more = objective.max_new_tokens if generates else int(not each.opened)
        if count + more <= text.window:
            continue
        after = f"and {more} new ones " if generates else "with the answer "
        what = f"{text.whose}{count} tokens {after}exceed the models' {text.window} positions"
        fix = "Shorten the prompt or lower max_new_tokens." if generates else "Shorten the row."
        place = each.row.place(path)
        found.append((each.row.index, Problem(place, what, fix)))
    return found
