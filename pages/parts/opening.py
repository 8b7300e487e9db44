"""Open a study by its files: headers, tokenizers and data; nothing heavy, every problem at once."""

from __future__ import annotations

from pathlib import Path

from engine.errors import BadInput, Problem
from engine.family.compatibility import Family, open_family
from engine.scoring.objectives import prepare
from engine.study import Objective, Study, load_study


def read_study(path: Path) -> tuple[Study, tuple[Objective, ...], Family]:
    """A study with its objectives checked and its family opened by headers.

    Raises:
        BadInput: every problem of study file, data and models at once.
    """
    study = load_study(path)
    problems: list[Problem] = []
    objectives: tuple[Objective, ...] = ()
    family: Family | None = None
    try:
        family = open_family(study.family)
    except BadInput as error:
        problems.extend(error.problems)
    tokenizer = family.tokenizer if family is not None else None
    template = family is None or (tokenizer is not None and tokenizer.chat_template is not None)
    try:
        objectives = prepare(study, chat_template=template)
    except BadInput as error:
        problems.extend(error.problems)
    if problems or family is None:
        raise BadInput(*problems)
    return study, objectives, family
