"""Open a study by its files, or write a new one: headers, tokenizers and data; nothing heavy,
every problem at once.

    what was typed ──► Draft ──► checked study ──► study.yaml    nothing is written unchecked
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache.store import Store
from engine.decoding.opening import feedings
from engine.errors import BadInput, Problem, bad
from engine.export.layout import side_files
from engine.family.compatibility import Family, open_family
from engine.family.fit import fit_problems
from engine.family.light_text import light_text
from engine.scoring.objectives import prepare
from engine.study import Objective, Study, load_study, study_of_document
from engine.study_file import place_of
from engine.yaml_writing import dumped

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
    """The absolute path that was typed; raises `BadInput` where it is none."""
    if not text.strip():
        raise bad(where, "no path is given", "Type the path of a file on this server.")
    return place_of(text.strip(), Path.cwd(), where)


@dataclass(frozen=True)
class Draft:
    """A study as it was typed: texts, nothing checked.

    Attributes:
        place: the file to write, or a directory for study.yaml.
        experts: (name, directory) a row; rows that are blank throughout do not count.
        objectives: as in a study file.
    """

    name: str
    place: str
    base: str
    experts: Sequence[tuple[str, str]]
    objectives: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    target: str = ""
    tokenizer: str = "base"

    @property
    def rows(self) -> list[tuple[str, str]]:
        stripped = [(name.strip(), place.strip()) for name, place in self.experts]
        return [each for each in stripped if any(each)]

    def path(self) -> Path:
        """The file to write; raises `BadInput` where there is one already."""
        path = typed_path(self.place, "Where to write it")
        try:
            if path.is_dir() or path.suffix not in (".yaml", ".yml"):
                path = path / "study.yaml"
            if path.exists():
                fix = "Name another place, or open this file instead."
                raise bad(str(path), "there is a file already; it is not overwritten", fix)
        except OSError as error:
            raise bad(str(path), f"cannot be read ({error.strerror})", "Check the path.") from None
        return path

    def document(self) -> dict[str, Any]:
        """What the study file will hold."""
        family: dict[str, Any] = {"base": self.base.strip(), "experts": dict(self.rows)}
        if self.target.strip():
            family["target"] = self.target.strip()
        if self.tokenizer != "base":
            family["tokenizer"] = self.tokenizer
        return {
            "study": self.name.strip(),
            "family": family,
            "objectives": [dict(each) for each in self.objectives],
        }

    def problems(self) -> list[Problem]:
        """What is missing or said twice, beside what the study file's own check finds."""
        found = []
        if not self.name.strip():
            found.append(Problem("Name of the study", "it is empty", "Give a short name."))
        if not self.base.strip():
            found.append(Problem("Directory of the base", "it is empty", "Give its directory."))
        seen: set[str] = set()
        for name, place in self.rows:
            if not name:
                what, fix = f"the expert in {place} has no name", "Name it."
                found.append(Problem("Experts", what, fix))
            elif not place:
                what, fix = f"the expert {name} has no directory", "Give its directory."
                found.append(Problem("Experts", what, fix))
            if name and name in seen:
                found.append(Problem("Experts", f"two are called {name}", "Rename one."))
            seen.add(name)
        return found


def check_draft(draft: Draft) -> tuple[Study, Family]:
    """The study that a draft would be, and its family, from headers.

    Raises:
        BadInput: every problem at once; models are looked at once the form itself is whole.
    """
    problems = draft.problems()
    path = Path.cwd() / "study.yaml"
    try:
        path = draft.path()
    except BadInput as error:
        problems.extend(error.problems)
    if problems:
        raise BadInput(*problems)
    study = study_of_document(draft.document(), path)
    _, family = check_study(study)
    return study, family


def write_study(draft: Draft, path: Path) -> None:
    """Write a checked draft; raises `BadInput` where a file is there or nothing can be written."""
    text = dumped(draft.document())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise bad(str(path), what, "Name another place.") from None


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
    """The studies opened last, the latest first; the current one and what is gone left out."""
    found = [
        Recent(row["name"], Path(row["path"]), row["at"])
        for row in reversed(store.records("study"))
        if row["path"] != str(current)
    ]
    return [each for each in found if each.path.is_file()][:SHOWN]
