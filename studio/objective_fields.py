"""Problems of an objective in a form: all at once, each with its field.

document ──► name, options, data, each checked though another is wrong ──► field -> problems
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem
from engine.family.compatibility import Family
from engine.family.light_text import light_text
from engine.scoring.data import read_bytes
from engine.scoring.objectives import prepare
from engine.scoring.registry import find_scorer
from engine.study import OBJECTIVE_KEYS, FamilySpec, Objective, Study, objective_of_document
from engine.study_data import DATA_KEYS
from engine.study_file import Reader, naming_problems, place_of

UNNAMED = "new"
"""What an objective is called while it is checked, where it has no name that can be used."""

FORM = (
    "name", "data", "scorer", "direction", "chat", "max_new_tokens", "stop", "limit",
    "report_fraction", "temperature",
)  # fmt: skip
"""Keys of an objective that the form has a field for, beside the scorer's options."""

_KEY = re.compile(r"(?:\.|: (?:option )?)(\w+)")


def problems_of(
    document: Mapping[str, Any], path: Path, family: Family | None = None
) -> tuple[Objective | None, list[Problem]]:
    """(the objective, checked with its data; every problem): None if there are problems.

    Args:
        path: the study file that is to hold it.
        family: whose template and tokenizer its prompts are tried on; None: on none.
    """
    document = {key: each for key, each in document.items() if key != "data" or each}
    where = f"{path}: objective {document.get('name', '')}"
    problems = naming_problems(document.get("name", ""), where, "an objective")
    if problems:
        document = {**document, "name": UNNAMED}
    try:
        objective = objective_of_document(document, path)
        spec = FamilySpec(path.parent, {}) if family is None else family.spec
        alone = Study(UNNAMED, path, spec, (objective,))
        template = family is None or family.has_chat_template
        [objective] = prepare(alone, chat_template=template, text=light_text(family))
    except BadInput as error:
        problems += error.problems
        return None, list(dict.fromkeys((*problems, *_others(document, path))))
    return (None, problems) if problems else (objective, [])


def _others(document: Mapping[str, Any], path: Path) -> list[Problem]:
    """What scorer and data file say each for itself, where they are not checked together."""
    scorer, name = find_scorer(str(document.get("scorer"))), str(document["name"])
    where = f"{path}: objective {name}"
    found: list[Problem] = []
    try:
        scorer.resolve(Reader(path).options(document, OBJECTIVE_KEYS, f"objective {name}"), where)
    except BadInput as error:
        found += error.problems
    typed = document.get("data")
    if not isinstance(typed, str) or not typed:
        return found
    try:
        read_bytes(place_of(typed, path.parent, f"{where}.data"), f"objective {name}")
    except BadInput as error:
        found += error.problems
    return found


def held_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> what it holds; of the data also what says how they are read."""
    fields = (*FORM, *(each.name for each in find_scorer(str(document.get("scorer"))).options))
    read = {key: document.get(key) for key in ("data", "scorer", *DATA_KEYS)}
    return {**{field: document.get(field) for field in fields}, "data": read}


def fields_of(
    document: Mapping[str, Any], problems: Sequence[Problem], path: Path
) -> dict[str, list[Problem]]:
    """Field -> its problems; what belongs to no field is under ""."""
    found: dict[str, list[Problem]] = {}
    for each in problems:
        found.setdefault(field_of(document, each, path) or "", []).append(each)
    return found


def field_of(document: Mapping[str, Any], problem: Problem, path: Path) -> str | None:
    """The field that a problem belongs to: a key of `FORM` or an option of the scorer; "" if it
    is the objective's and no field's; None if it is not the objective's.

    A problem names the objective and a key, or the data file and a line.
    """
    scorer = find_scorer(str(document.get("scorer")))
    fields = (*FORM, *(each.name for each in scorer.options))
    for name in dict.fromkeys((str(document.get("name", "")), UNNAMED)):
        before, there, key = problem.where.rpartition(f"objective {name}")
        if there and not key and not _is_data(document, before, path):
            return "name"
        if there and (said := _KEY.match(key)) is not None:
            return "data" if said[1] in DATA_KEYS else said[1] if said[1] in fields else ""
    return "data" if _is_data(document, problem.where, path) else None


def _is_data(document: Mapping[str, Any], where: str, path: Path) -> bool:
    """Whether a problem's place is the data file, or in it."""
    typed = document.get("data")
    if not isinstance(typed, str) or not typed:
        return False
    try:
        full = str(place_of(typed, path.parent, "data"))
    except BadInput:
        return False
    return full in where and where.partition(full)[2][:1] in ("", ":", " ", ",")
