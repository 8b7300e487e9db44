"""A new study from form input: every problem at once, each with its field.

what was typed ──► Draft ──► checked study ──► study.yaml    nothing is written unchecked
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem, bad
from engine.family.checkpoint import open_checkpoint
from engine.family.compatibility import Family, inspect_family
from engine.study import FamilySpec, Study, study_of_document
from engine.study_family import WORDING_KEYS
from engine.study_file import model_of
from engine.yaml_writing import dumped
from studio.objective_fields import field_of, problems_of
from studio.opening import check_study, typed_path

FIELDS = {
    "Name of the study": "name",
    "Where to write it": "place",
    "Directory of the base": "base",
    "Experts": "experts",
}
UNPLACED = "study.yaml"
"""Where a draft stands, in the working directory, that has no place yet."""

_EXPERT = re.compile(r"Expert (\d+)")


@dataclass(frozen=True)
class Draft:
    """A study as entered: unchecked strings.

    Attributes:
        place: the file to write, or a directory for study.yaml.
        experts: (name, directory) a row; rows that are blank throughout do not count.
        objectives: as in a study file.
        words: "base", "target" or "expert:ROW" -> what it reads of its own, of `WORDING_KEYS`.
    """

    name: str
    place: str
    base: str
    experts: Sequence[tuple[str, str]]
    objectives: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    target: str = ""
    tokenizer: str = "base"
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def rows(self) -> dict[int, tuple[str, str]]:
        """Row, from 0 -> (name, directory), of those that are not blank."""
        stripped = enumerate((name.strip(), place.strip()) for name, place in self.experts)
        return {row: each for row, each in stripped if any(each)}

    def path(self) -> Path:
        """The file to write; raises `BadInput` if there is one already."""
        where = "Where to write it"
        path = typed_path(self.place, where)
        try:
            if path.is_dir() or path.suffix not in (".yaml", ".yml"):
                path = path / "study.yaml"
            if path.exists():
                what = f"{path}: there is already a file, which is not overwritten"
                raise bad(where, what, "Choose another path, or open that file instead.")
        except OSError as error:
            what = f"{path}: cannot be read ({error.strerror})"
            raise bad(where, what, "Check the path.") from None
        return path

    def document(self) -> dict[str, Any]:
        """What the study file will hold; where a name or the base is missing, what is there can be
        checked under another."""
        experts: dict[str, str] = {}
        models = {"base": "base"}
        if self.target.strip():
            models["target"] = "target"
        for row, (name, place) in self.rows.items():
            shown = name if name and name not in experts else f"expert {row + 1}"
            if place:
                experts[shown] = place
                models[f"expert:{row}"] = shown
        family: dict[str, Any] = {"base": self.base.strip() or ".", "experts": experts}
        if self.target.strip():
            family["target"] = self.target.strip()
        if self.tokenizer != "base":
            family["tokenizer"] = self.tokenizer
        said = {name: self._words(model) for model, name in models.items()}
        if templates := {name: each for name, each in said.items() if each}:
            family["templates"] = templates
        return {
            "study": self.name.strip() or "draft",
            "family": family,
            "objectives": [dict(each) for each in self.objectives],
        }

    def _words(self, model: str) -> str | dict[str, str]:
        """A model's item of `templates:`; empty if it has none."""
        typed = self.words.get(model, {})
        found = {key: typed[key] for key in WORDING_KEYS if typed.get(key)}
        if file := found.pop("template", "").strip():
            found = {"template": file, **found}
        return file if [*found] == ["template"] else found

    def problems(self) -> Iterator[Problem]:
        """What is missing or duplicated, apart from what the study file's own check finds."""
        if not self.name.strip():
            yield Problem("Name of the study", "it is empty", "Enter a short name.")
        if not self.base.strip():
            yield Problem("Directory of the base", "it is empty", "Enter its directory.")
        seen: set[str] = set()
        for row, (name, place) in self.rows.items():
            where = f"Expert {row + 1}"
            if not name:
                yield Problem(where, f"the expert in {place} has no name", "Enter a name.")
            elif not place:
                yield Problem(where, f"the expert {name} has no directory", "Enter its directory.")
            if name and name in seen:
                yield Problem(where, f"two experts are called {name}", "Rename one.")
            seen.add(name)


def check_draft(draft: Draft) -> tuple[Study, Family]:
    """The study that a draft would be, and its family, from headers.

    Raises:
        BadInput: every problem at once, of what is typed by now.
    """
    problems = [*draft.problems()]
    path, study, family = Path.cwd() / UNPLACED, None, None
    try:
        path = draft.path()
    except BadInput as error:
        problems.extend(error.problems)
    try:
        study = study_of_document(draft.document(), path)
    except BadInput as error:
        problems.extend(error.problems)
    try:
        if study is not None and draft.base.strip():
            _, family = check_study(study)
        else:
            problems += _models(draft)
    except BadInput as error:
        problems.extend(error.problems)
    if problems or study is None or family is None:
        for each in draft.objectives:
            problems += problems_of(each, path)[1]
        raise BadInput(*dict.fromkeys(problems))
    return study, family


def _models(draft: Draft) -> list[Problem]:
    """Problems of the models given so far, if they do not make a study yet."""
    said = draft.document()["family"]
    places = {name: model_of(place, Path.cwd(), name) for name, place in said["experts"].items()}
    if draft.base.strip() and places:
        target = model_of(said["target"], Path.cwd(), "target") if "target" in said else None
        base = model_of(said["base"], Path.cwd(), "base")
        return inspect_family(FamilySpec(base, places, target))[1]
    found: list[Problem] = []
    for name, place in places.items():
        try:
            open_checkpoint(place, name)
        except BadInput as error:
            found.extend(error.problems)
    return found


def fields_of(draft: Draft, problems: Sequence[Problem]) -> dict[str, list[Problem]]:
    """Field -> its problems: name, place, base, target, tokenizer, objective, a field of it as
    objective:FIELD, experts, one expert as expert:ROW, the words of a model as words:base,
    words:target or words:expert:ROW; what belongs to none of them is under "".

    A study file's problem names a key, a model's its name or where it lies.
    """
    named = {f"family.experts.{name}": f"expert:{row}" for row, (name, _) in draft.rows.items()}
    named |= {"family.base": "base", "family.target": "target", "family.tokenizer": "tokenizer"}
    models = [("base", draft.base.strip()), ("target", draft.target.strip())]
    models += [(f"expert:{row}", place) for row, (_, place) in draft.rows.items()]
    names = {name: f"expert:{row}" for row, (name, _) in draft.rows.items() if name}
    worded = {name: f"words:{field}" for name, field in names.items()}
    worded |= {"base": "words:base", "target": "words:target"}
    found: dict[str, list[Problem]] = {}
    for each in problems:
        field = _of_words(each, worded)
        field = _of_objective(draft, each) if field is None else field
        field = _field(each, named, models, names) if field is None else field
        found.setdefault(field, []).append(each)
    return found


_WORDS = re.compile(r"(?:.*: family\.templates\.|template of )(.+)", re.DOTALL)


def _of_words(problem: Problem, worded: Mapping[str, str]) -> str | None:
    """The words that a problem belongs to: it names their key, or the model and their file."""
    if (said := _WORDS.fullmatch(problem.where)) is None:
        return None
    longest = sorted(worded, key=len, reverse=True)  # a name may begin as another does
    ends = (name for name in longest if re.match(rf"{re.escape(name)}(?=[.: ]|$)", said[1]))
    return worded.get(next(ends, ""))


def _of_objective(draft: Draft, problem: Problem) -> str | None:
    try:
        path = draft.path()
    except BadInput:
        path = Path.cwd() / UNPLACED
    for document in draft.objectives:
        found = field_of(document, problem, path)
        if found is not None:
            return f"objective:{found}" if found else "objective"
    return None


def _field(
    problem: Problem,
    named: Mapping[str, str],
    models: Sequence[tuple[str, str]],
    names: Mapping[str, str],
) -> str:
    where = problem.where
    if where in FIELDS:
        return FIELDS[where]
    if (row := _EXPERT.fullmatch(where)) is not None:
        return f"expert:{int(row[1]) - 1}"
    _, colon, key = where.rpartition(": ")
    if colon and key in named:
        return named[key]
    if colon and key == "family.experts":
        quoted = (name for name in names if repr(name) in problem.what)
        return names.get(next(quoted, ""), "experts")
    if colon and key == "study":
        return "name"
    if colon and key.startswith("objective"):
        return "objective"
    label, opened, _ = where.partition(" (")
    if opened and label in ("base", "target", *names):
        return names.get(label, label)
    at = [field for field, place in models if place and _lies_in(where, place)]
    return at[0] if at else ""


def _lies_in(where: str, place: str) -> bool:
    """Whether a problem's place is a model's directory, or in it."""
    try:
        full = str(model_of(place, Path.cwd(), place))
    except BadInput:
        return False
    return full in where and where.partition(full)[2][:1] in ("", "/", ":", ")")


def write_study(draft: Draft, path: Path) -> None:
    """Write a checked draft; raises `BadInput` if a file is there or nothing can be written."""
    text = dumped(draft.document())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        what = f"{path}: cannot be written ({error.strerror or error})"
        raise bad("Where to write it", what, "Choose another path.") from None
