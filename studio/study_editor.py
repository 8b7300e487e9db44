"""An objective more: from what was typed to the study file, which keeps all else that it says.

    fields ──► document ──► checked ──► an item at the end of `objectives:`

The item is put in as text, so that comments and order stay. What comes out is read again as a study
before it takes the file's place; where it says anything else than before besides the new objective,
the file is written anew from its values, and a copy of what it was stays beside it.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from engine.errors import BadInput, Problem, bad
from engine.family.compatibility import Family
from engine.family.light_text import light_text
from engine.recipe import read_yaml
from engine.replacing import successor
from engine.scoring.data import limited, read_file
from engine.scoring.objectives import prepare
from engine.scoring.registry import SCORERS, Scorer, find_scorer
from engine.study import Objective, Study, load_study, objective_of_document
from engine.yaml_reading import compose
from engine.yaml_writing import dumped
from studio.points.view import Axis, Measured

DEFAULTS = {each.name: each.default for each in dataclasses.fields(Objective)}
MEANS = {
    "proportion": "each example counts 1 or 0; the score is their share",
    "mean": "the score is the mean over the examples",
    "perplexity": "the score is the exponential of the mean over all tokens",
}
READS = {
    "nothing": "no data",
    "prompt": "a prompt a line",
    "target": "a prompt and a target (or targets) a line",
    "choices": "a prompt, choices and the answer a line",
}


def scorers() -> list[str]:
    """Names to choose from: those that read an answer, then probabilities, then what needs no
    data."""
    order = ("text", "choice", "likelihood", "kl", "none")
    return sorted(SCORERS, key=lambda name: order.index(SCORERS[name].kind))


def scorer_text(name: str) -> str:
    """What a scorer does, what its data must hold, and where it comes from."""
    scorer = find_scorer(name)
    needs = "a prompt a line, and a target where the pattern has a group"
    if isinstance(scorer.needs, str):
        needs = READS[scorer.needs]
    return (
        f"{scorer.name}: {scorer.summary}. It is to {scorer.direction}; {MEANS[scorer.mean]}. "
        f"It reads {needs}. Source: {scorer.source}."
    )


def texts_of(text: str) -> list[str]:
    r"""The lines of a text area, blank ones left out; \n within a line stands for a line break."""
    return [line.replace("\\n", "\n") for line in text.split("\n") if line.strip()]


def generates(scorer: Scorer) -> bool:
    """Whether the model writes an answer, so that its length and stops matter."""
    return scorer.kind in ("text", "kl")


def document_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """An item of `objectives:` from the form's values; what is at its default is left out."""
    scorer = find_scorer(str(values["scorer"]))
    options = {each.name: each.default for each in scorer.options}
    found: dict[str, Any] = {"name": str(values["name"]).strip()}
    if scorer.kind != "none":
        found["data"] = str(values.get("data") or "").strip()
    found["scorer"] = scorer.name
    for name, value in values.items():
        if name in found or name in ("data", "report_data") or value is None:
            continue
        default = scorer.direction if name == "direction" else {**DEFAULTS, **options}.get(name)
        said = list(value) if isinstance(value, tuple) else value
        default = list(default) if isinstance(default, tuple) else default
        if said != default and said not in ("", []):
            found[name] = said
    return found


@dataclass(frozen=True)
class Counted:
    """How many examples an objective has.

    Attributes:
        explore: that it is measured on.
        report: held back; measured once, at an export.
    """

    explore: int
    report: int

    def __str__(self) -> str:
        if not self.explore:
            return "It needs no data."
        return (
            f"{self.explore} example{'s' if self.explore != 1 else ''} to explore with, "
            f"{self.report} held back for the report of an export."
        )


def check_document(
    document: Mapping[str, Any], study: Study, family: Family
) -> tuple[Objective, Counted]:
    """The objective that a document is, checked with its data as part of a study.

    Raises:
        BadInput: every problem at once.
    """
    problems: list[Problem] = []
    name = str(document.get("name", ""))
    if any(each.name == name for each in study.objectives):
        where = f"{study.path}: objective {name}"
        problems.append(Problem(where, "the study has an objective of this name", "Rename one."))
    scorer = find_scorer(str(document.get("scorer")))
    if scorer.kind != "none" and not document.get("data"):
        problems.append(Problem("Data file", "no file is given", "Type the path of a data file."))
        raise BadInput(*problems)
    try:
        objective = objective_of_document(document, study.path)
        alone = dataclasses.replace(study, objectives=(objective,))
        [objective] = prepare(
            alone, chat_template=family.has_chat_template, text=light_text(family)
        )
    except BadInput as error:
        raise BadInput(*problems, *error.problems) from None
    if problems:
        raise BadInput(*problems)
    return objective, _count(objective)


def _count(objective: Objective) -> Counted:
    if objective.data is None:
        return Counted(0, 0)
    rows = read_file(objective.data, objective)
    held = [row.held_back(objective.report_fraction) for row in rows]
    explore = [row for row, back in zip(rows, held, strict=True) if not back]
    report = [row for row, back in zip(rows, held, strict=True) if back]
    return Counted(*(len(limited(each, objective.limit)) for each in (explore, report)))


def _end(node: yaml.Node) -> tuple[int, int]:
    """(line, column) behind the last thing that a node says."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style:
        return node.end_mark.line, node.end_mark.column
    parts = [each for pair in node.value for each in (pair if isinstance(pair, tuple) else (pair,))]
    return max(_end(each) for each in parts)


def with_objective(text: str, item: Mapping[str, Any]) -> str | None:
    """The text of a study file with an item more in `objectives:`, all else as it is.

    None where the list is not written as a block, one item under the other.
    """
    root = compose(text, "study")
    found = [value for key, value in root.value if key.value == "objectives"]
    if len(found) != 1 or not isinstance(found[0], yaml.SequenceNode) or found[0].flow_style:
        return None
    line, column = _end(found[0])
    lines = text.splitlines(keepends=True)
    newline = "\r\n" if "\r\n" in text else "\n"
    at = line if column == 0 else line + 1
    if at and not lines[at - 1].endswith("\n"):
        lines[at - 1] += newline
    margin = " " * found[0].start_mark.column
    added = "".join(f"{margin}{each}{newline}" for each in dumped([dict(item)]).split("\n")[:-1])
    return "".join([*lines[:at], added, *lines[at:]])


def _put(path: Path, text: str, study: Study, more: Objective) -> bool:
    """Let the text take the file's place, where as a study it is `study` and `more` at its end."""
    with successor(path) as (name, handle):
        with open(handle, "w", encoding="utf-8", newline="", closefd=False) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, name)
        try:
            made = load_study(name)
        except BadInput:
            return False
        wanted = dataclasses.replace(study, objectives=(*study.objectives, more))
        if dataclasses.replace(made, path=study.path, name=study.name) != wanted:
            return False
        os.replace(name, path)
    return True


def add_objective(path: Path, item: Mapping[str, Any]) -> Path | None:
    """Add an item to a study file.

    Returns:
        Where a copy of the file is that lost its comments; None where it kept all.

    Raises:
        BadInput: the file cannot be read as a study, or not be written, or it would not hold the
            item; it is then as it was.
    """
    study, more = load_study(path), objective_of_document(item, path)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
        made = with_objective(text, item)
        if made is not None and _put(path, made, study, more):
            return None
        data = read_yaml(path)
        data["objectives"] = [*data["objectives"], dict(item)]
        kept = _free(path)
        shutil.copy2(path, kept)
        if not _put(path, dumped(data), study, more):
            what = "another objective would change with it"
            raise bad(str(path), what, "Add the objective to the file by hand.")
        return kept
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise bad(str(path), what, "Check the permissions of its directory.") from None


def _free(path: Path) -> Path:
    """study.yaml.bak, or the first of study.yaml.bak2 … that is not there."""
    names = (f"{path.name}.bak{number if number > 1 else ''}" for number in itertools.count(1))
    return next(each for each in map(path.with_name, names) if not each.exists())


def measured_of(measured: Measured) -> dict[str, int]:
    """Objective -> how many points have a score of it."""
    there = np.isfinite(measured.mean).sum(axis=0) if len(measured) else np.zeros(0)
    return dict(zip(measured.names, map(int, there), strict=False))


def lacking(measured: Measured, *, singles: bool = True) -> list[int]:
    """Rows of the points that lack the score of some objective.

    Args:
        singles: whether base, target and experts as they are count too.
    """
    rows = (row for row in range(len(measured)) if not measured.complete(row))
    return [row for row in rows if singles or not measured.singles[row]]


def on_front(measured: Measured, axes: tuple[Axis, ...], rows: list[int]) -> list[int]:
    """Those of some rows that are on the front over the objectives that every point has."""
    if not rows:
        return []
    full = [
        each for each in axes if np.isfinite(measured.mean[:, measured.column(each.name)]).all()
    ]
    if not full:
        return []
    front = measured.front_of(full)
    return [row for row in rows if front[row]]
