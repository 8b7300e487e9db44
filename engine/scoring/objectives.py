"""Objectives as a whole: checked before any heavy work, and fingerprinted for score keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem, unknown
from engine.family.light_text import LightText
from engine.scoring.classifying import ClassifierFiles
from engine.scoring.data import (
    Row,
    data_file,
    effective,
    look,
    placed_otherwise,
    read_bytes,
    read_file,
    read_rows,
)
from engine.scoring.data_distinct import copies_said
from engine.scoring.prompts import choice_problems, ending_problems, prompt_problems
from engine.scoring.registry import check_objective, find_scorer
from engine.study import Objective, Split, Study


def _content(path: Path | None, objective: Objective) -> str | None:
    if path is None:
        return None
    return hashlib.sha256(read_bytes(path, f"objective {objective.name}")).hexdigest()


def _model(path: str, where: str) -> str:
    """What a model is by its files, wherever it lies."""
    return ClassifierFiles.open(path, where).fingerprint


def objective_fingerprint(objective: Objective, tokenizer_files_hash: str) -> str:
    """64 hex digits over everything a score depends on besides recipe, family, split and numerics.

    Its name, its direction and where its files lie are not part of it: renaming, turning round or
    moving an objective keeps its scores.

    Args:
        tokenizer_files_hash: fingerprint of tokenizer, chat template and generation_config.

    Raises:
        BadInput: an unknown scorer or option, or a data file that cannot be read.
    """
    where = f"objective {objective.name}"
    scorer = find_scorer(objective.scorer, where)
    options = scorer.resolve(objective.options, where)
    whole: dict[str, Any] = {
        "scorer": scorer.name,
        "version": scorer.version,
        # what is absent is left out, here and below, so that what was measured before it could be
        # given stays
        "options": {
            each.name: _model(options[each.name], where)
            if each.kind == "directory"
            else options[each.name]
            for each in scorer.options
            if options[each.name] is not None
        },
        "data": _content(objective.data, objective),
        "report_data": _content(objective.report_data, objective),
        "chat": objective.chat,
        "tokenizer": tokenizer_files_hash,
        "max_new_tokens": objective.max_new_tokens,
        "stop": list(objective.stop),
        "limit": objective.limit,
        "report_fraction": objective.report_fraction,
        "temperature": objective.temperature,
        "top_p": objective.top_p,
        "top_k": objective.top_k,
        "seed": objective.seed,
    }
    reading = effective(objective)
    if reading:
        whole["reading"] = reading
    if placed_otherwise(objective):
        whole["rows"] = "questions, each once"
    if objective.template_kwargs:
        whole["template_kwargs"] = objective.template_kwargs
    if objective.answer_after:
        whole["answer_after"] = objective.answer_after
    if objective.members:
        prints = [objective_fingerprint(each, tokenizer_files_hash) for each in objective.members]
        whole["options"] = {"combine": objective.options["combine"], "of": sorted(prints)}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _problems(
    objective: Objective, chat_template: bool, path: Path, text: LightText | None
) -> list[Problem]:
    """What is wrong with a checked objective's data."""
    problems: list[Problem] = []
    templated = objective.chat
    try:
        rows = read_rows(objective, "explore")
        templated = templated or any(row.messages is not None for row in rows)
    except BadInput as error:
        problems.extend(error.problems)
    if objective.report_data is not None:
        try:
            read_file(objective.report_data, objective)
            if not problems:
                problems.extend(_overlap(objective))
        except BadInput as error:
            problems.extend(error.problems)
    if templated and not chat_template and objective.data is not None:
        where = f"{path}: objective {objective.name}: chat"
        what = "it uses the chat template, but the tokenizer has none"
        fix = "Set `tokenizer:` to another model, or set chat: false."
        problems.append(Problem(where, what, fix))
    if objective.template_kwargs and not templated and not problems:
        where = f"{path}: objective {objective.name}: template_kwargs"
        what = "none of its prompts use the chat template"
        problems.append(Problem(where, what, "Set chat: true, or remove them."))
    return problems or _asked(objective, text)


def _named(objective: Objective, study: Study) -> list[Problem]:
    """Models that a checked objective's options name and the family lacks."""
    scorer, names = find_scorer(objective.scorer), study.family.names
    found: list[Problem] = []
    for each in scorer.options:
        if each.kind != "model":
            continue
        known = names.experts if scorer.tampers else names.models
        value = objective.options[each.name]
        if value not in known:
            where = f"{study.path}: objective {objective.name}: option {each.name}"
            found += unknown(where, "expert" if scorer.tampers else "model", value, known).problems
    return found


def _overlap(objective: Objective) -> list[Problem]:
    """Questions that are explored and asked again for the report, which then holds nothing back."""
    explored: dict[str, Row] = {}
    for row in read_rows(objective, "explore"):
        explored.setdefault(row.question, row)
    both = [row for row in read_rows(objective, "report") if row.question in explored]
    if not both:
        return []
    pairs = [f"line {row.line} (line {explored[row.question].line})" for row in both[:SHOWN]]
    more = f" and {len(both) - SHOWN} more" if len(both) > SHOWN else ""
    count = "one question is" if len(both) == 1 else f"{len(both)} questions are"
    what = f"{count} also among the explored rows in {objective.data}: {', '.join(pairs)}{more}"
    fix = (
        "Remove them from one of the files, or leave out report_data, so that report_fraction "
        "holds rows back."
    )
    place = f"{objective.report_data}: objective {objective.name}: report_data"
    return [Problem(place, what, fix)]


def _asked(objective: Objective, text: LightText | None) -> list[Problem]:
    """What is wrong with the prompts of either split."""
    problems: list[Problem] = []
    splits: tuple[Split, ...] = ("explore", "report")
    for split in splits:
        path = data_file(objective, split)
        if path is None:
            continue
        try:
            rows = read_rows(objective, split)
        except BadInput:
            if split == "explore":
                raise
            continue  # a report split without rows: only an export needs it
        found = [
            *ending_problems(objective, path, rows),
            *choice_problems(objective, path, rows),
        ]
        if not found and text is not None:
            for each in (text, *text.others):
                found += prompt_problems(objective, path, rows, each)
        problems += found
    return problems


def _asked_twice(objective: Objective, path: Path) -> list[Problem]:
    """Questions that members of a combination share in files of their own: their errors would be
    neither paired nor independent."""
    problems: list[Problem] = []
    seen: dict[tuple[object, ...], tuple[str, set[str]]] = {}
    for each in objective.members:
        own = each.data, each.reading, each.limit, each.report_fraction, each.report_data
        try:
            questions = {row.question for row in read_rows(each, "explore")}
        except BadInput:
            continue  # said of the member itself
        for other, taken in (found for rows, found in seen.items() if rows != own):
            if both := len(questions & taken):
                what = f"{other} and {each.name} ask {both} of the same questions in different data"
                fix = "Give both the same data, limit and report_fraction."
                problems.append(Problem(f"{path}: objective {objective.name}: of", what, fix))
        seen.setdefault(own, (each.name, questions))
    return problems


def prepare(
    study: Study, *, chat_template: bool = True, text: LightText | None = None
) -> tuple[Objective, ...]:
    """Every objective of a study with its direction and options filled in, its data files checked.

    Args:
        chat_template: whether the family's tokenizer has one.
        text: of the family, where its prompts are to be tried on the template and the models'
            positions too; an evaluation tries them in any case.

    Raises:
        BadInput: every problem of every objective and data file at once. A report split without
            rows is not one of them: only an export needs it.
    """
    ready: list[Objective] = []
    problems: list[Problem] = []
    for each in study.objectives:
        try:
            checked = check_objective(each, study.path)
        except BadInput as error:
            problems.extend(error.problems)
            continue
        ready.append(checked)
        if study.family.experts:
            problems.extend(_named(checked, study))
        problems.extend(_problems(checked, chat_template, study.path, text))
        problems.extend(_asked_twice(checked, study.path))
    if text is not None:
        problems = [*text.problems, *problems]
    if problems:
        raise BadInput(*dict.fromkeys(problems))
    return tuple(ready)


SHOWN = 5
"""Lines of rows on both sides that are named."""


def data_notes(study: Study) -> list[str]:
    """A sentence for each data file that is not JSON Lines in our own form, or holds rows twice:
    what it is, and what is read as what; and which objectives explore what others hold back. Files
    that cannot be read are left to `prepare`."""
    found: list[str] = []
    for each in study.objectives:
        for path in (each.data, each.report_data):
            if path is None:
                continue
            try:
                seen = look(path, each)
            except BadInput:
                continue
            if not seen.plain and seen.reading is not None:
                found.append(f"{each.name}: {path.name} is {seen.sentence()}")
    return [*found, *seen_by_others(study)]


def copies_notes(objectives: Iterable[Objective]) -> list[str]:
    """A sentence for each data file that holds rows more than once."""
    found = []
    for each in objectives:
        for path in (each.data, each.report_data):
            said = copies_said(look(path, each).copies) if path is not None else ""
            if said:
                found.append(f"{each.name}: {path}: {said}")
    return found


def seen_by_others(study: Study) -> list[str]:
    """A sentence for each objective whose report holds questions that another one explores."""
    splits: dict[str, dict[str, frozenset[str]]] = {"explore": {}, "report": {}}
    for each in study.objectives:
        for split, found in splits.items():
            try:
                rows = read_rows(each, "explore" if split == "explore" else "report")
            except BadInput:
                continue
            found[each.name] = frozenset(row.question for row in rows)
    notes = []
    for name, held in splits["report"].items():
        for other, explored in splits["explore"].items():
            both = len(held & explored)
            if both and other != name:
                many = "question" if both == 1 else "questions"
                notes.append(
                    f"{name}: {both} {many} held back for its report "
                    f"{'is' if both == 1 else 'are'} explored by {other}; use the same data and "
                    "report_fraction for both."
                )
    return notes
