"""check: every problem of a study, before any heavy work; no model, no database, and no torch
unless a class has to be tried for the first time."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from types import SimpleNamespace
from typing import Any

from engine.decoding.opening import feedings
from engine.errors import BadInput, first_problems
from engine.export.layout import side_files
from engine.family.compatibility import inspect_family
from engine.family.fit import fit_problems
from engine.family.light_text import light_text
from engine.family.memory import memory_needed, ways
from engine.scoring.objectives import data_notes, prepare
from engine.study import load_study
from engine.study_reference import reference_study


def check(args: SimpleNamespace) -> dict[str, Any]:
    """Every problem of a study and what is worth knowing, from headers, tokenizers and data."""
    try:
        study = load_study(args.study)
    except BadInput as error:
        found = [each.as_dict() for each in first_problems(error.problems)]
        return {"ok": False, "problems": found, "notes": [], "memory": None, "ways": None}
    family, problems = inspect_family(study.family)
    template = family is None or family.has_chat_template
    for each in () if family is None else family.models.values():
        problems = [*problems, *fit_problems(each, args.workspace)]
    for name in study.references:
        problems = [*problems, *inspect_family(reference_study(study, name)[0].family)[1]]
    try:
        prepare(study, chat_template=template, text=light_text(family))
    except BadInput as error:
        problems = [*problems, *error.problems]
    if family is not None:
        for look in (partial(side_files, family), partial(feedings, family, args.workspace)):
            try:
                look()
            except BadInput as error:
                problems = [*problems, *error.problems]
    memory = None if family is None else memory_needed(family)
    return {
        "ok": not problems,
        "problems": [each.as_dict() for each in first_problems(problems)],
        "notes": [*([] if family is None else family.notes), *data_notes(study)],
        "memory": memory,
        "ways": None if memory is None else {k: asdict(way) for k, way in ways(memory).items()},
    }
