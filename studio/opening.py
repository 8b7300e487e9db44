"""Open a study by its files: headers, tokenizers and data; nothing heavy, every problem at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cache.store import Store
from engine.decoding.opening import feedings
from engine.errors import BadInput, Problem, bad
from engine.export.layout import side_files
from engine.family.compatibility import Family, open_family
from engine.family.fit import fit_problems
from engine.family.light_text import light_text
from engine.scoring.objectives import prepare
from engine.study import Objective, Study, load_study
from engine.study_file import place_of

SHOWN = 8
"""Recent studies that are offered."""


def check_study(study: Study) -> tuple[tuple[Objective, ...], Family]:
    """A study's objectives, checked, and its family, opened by headers.

    Raises:
        BadInput: every problem of data and models at once.
    """
    problems: list[Problem] = []
    objectives: tuple[Objective, ...] = ()
    family: Family | None = None
    try:
        family = open_family(study.family)
        for each in family.models.values():
            problems.extend(fit_problems(each))
        feedings(family)
        side_files(family)  # a study whose exports would be refused is not opened
    except BadInput as error:
        problems.extend(error.problems)
    template = family is None or family.has_chat_template
    try:
        objectives = prepare(study, chat_template=template, text=light_text(family))
    except BadInput as error:
        problems.extend(error.problems)
    if problems or family is None:
        raise BadInput(*problems)
    return objectives, family


def read_study(path: Path) -> tuple[Study, tuple[Objective, ...], Family]:
    """The study in a file, or in a directory's study.yaml, checked.

    Raises:
        BadInput: every problem of study file, data and models at once.
    """
    study = load_study(path)
    objectives, family = check_study(study)
    return study, objectives, family


def typed_path(text: str, where: str) -> Path:
    """The absolute path that was typed; raises `BadInput` if it is none."""
    if not text.strip():
        raise bad(where, "no path was given", "Enter the path of a file on this server.")
    return place_of(text.strip(), Path.cwd(), where)


@dataclass(frozen=True)
class Recent:
    """A study that was opened in this workspace.

    Attributes:
        at: when, seconds since 1970.
    """

    name: str
    path: Path
    at: float


def remember_study(store: Store, study: Study) -> None:
    """Note in the journal that a study was opened."""
    place = str(study.path)
    store.append([{"kind": "study", "id": place, "path": place, "name": study.name}])


def recent_studies(store: Store, current: Path | None = None) -> list[Recent]:
    """The studies opened last, latest first, without the current one and those that no longer
    exist."""
    found = [
        Recent(row["name"], Path(row["path"]), row["at"])
        for row in reversed(store.records("study"))
        if row["path"] != str(current)
    ]
    return [each for each in found if each.path.is_file()][:SHOWN]
