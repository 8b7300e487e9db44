"""An objective in a form: from the input to its entry in a study file, and back.

fields ──► document ──► checked ──► an item of `objectives:` (`study_text`)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.counted import counted
from engine.errors import BadInput, Problem
from engine.family.compatibility import Family
from engine.recipe import read_yaml
from engine.scoring.data import limited, read_file
from engine.scoring.registry import OF, SCORERS, Scorer, check_objective, find_scorer
from engine.study import OBJECTIVE_KEYS, Objective, Study
from engine.study_file import Reader
from engine.study_members import COMBINATION, with_members
from studio.objective_fields import FORM, problems_of
from studio.points.view import Axis, Measured

DEFAULTS = {each.name: each.default for each in dataclasses.fields(Objective)}
MEANS = {
    "proportion": "each example counts 1 or 0; the score is their share",
    "mean": "the score is the mean over the examples",
    "perplexity": "the score is the exponential of the mean over all tokens",
    "balanced": "each example counts 1 or 0; the score is the mean of the two sides' shares",
    "calibration": "the score is of all examples together, its error by the bootstrap",
}
BETTER = {"maximize": "Higher is better", "minimize": "Lower is better"}
READS = {
    "nothing": "no data",
    "prompt": "one prompt per line",
    "target": "a prompt and a target (or targets) per line",
    "choices": "a prompt, choices and the answer per line",
}


def scorers() -> list[str]:
    """Names to choose from: those that read an answer, then probabilities, then what needs no
    data; of each the shares of examples first."""
    order = (
        "text", "samples", "choice", "likelihood", "kl", "strength", "size", "votes", "combined",
        "none",
    )  # fmt: skip

    def place(name: str) -> tuple[int, bool]:
        return order.index(SCORERS[name].kind), not SCORERS[name].proportion

    return sorted(SCORERS, key=place)


def scorer_text(name: str) -> str:
    """What a scorer does, what its data must hold, and where it comes from."""
    scorer = find_scorer(name)
    needs = "one prompt per line, and a target where the pattern has a group"
    if isinstance(scorer.needs, str):
        needs = READS[scorer.needs]
    return (
        f"{scorer.name}: {scorer.summary}. {BETTER[scorer.direction]}; {MEANS[scorer.mean]}. "
        f"It reads {needs}. Source: {scorer.source}."
    )


def texts_of(text: str) -> list[str]:
    r"""The lines of a text area, blank ones left out; \n within a line stands for a line break."""
    return [line.replace("\\n", "\n") for line in text.split("\n") if line.strip()]


def text_of(texts: Sequence[str]) -> str:
    r"""What stands in a text area for these texts: `texts_of` the other way."""
    return "\n".join(each.replace("\n", "\\n") for each in texts)


def item_of(path: Path, name: str) -> dict[str, Any]:
    """An item of `objectives:` as the file has it; {} if there is none of this name."""
    found = (each for each in read_yaml(path)["objectives"] if each.get("name") == name)
    item = dict(next(found, {}))
    return {"scorer": COMBINATION, **item} if "combine" in item else item


def kept_of(item: Mapping[str, Any], scorer: Scorer) -> dict[str, Any]:
    """What an item says that the form has no field for, and that stays as it is."""
    if scorer.exact and item.get("scorer") != scorer.name:
        return {}
    return {key: each for key, each in item.items() if key in OBJECTIVE_KEYS and key not in FORM}


def generates(scorer: Scorer) -> bool:
    """Whether the model writes an answer, so that its length and stops matter; so it does for a
    cost that is counted over data."""
    return scorer.generates or scorer.kind == "none"


def document_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """An item of `objectives:` from the form's values; what is at its default is left out."""
    scorer = find_scorer(str(values["scorer"]))
    options = {each.name: each.default for each in scorer.options}
    found: dict[str, Any] = {"name": str(values["name"]).strip()}
    without = scorer.exact or scorer.kind in OF
    if not without or (scorer.kind == "none" and values.get("data")):
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
            f"{counted(self.explore, 'example')} to explore with, "
            f"{self.report} held back for the report of an export."
        )


def check_document(
    document: Mapping[str, Any], study: Study, family: Family, instead: str = ""
) -> tuple[Objective, Counted]:
    """The objective that a document is, checked with its data as part of a study.

    Args:
        instead: the objective whose place it takes, if any.

    Raises:
        BadInput: every problem at once.
    """
    objective, problems = problems_of(document, study.path, family)
    name = str(document.get("name", ""))
    if any(each.name == name != instead for each in study.objectives):
        where = f"{study.path}: objective {name}"
        what = "the study already has an objective of this name"
        problems.insert(0, Problem(where, what, "Rename one."))
    if problems or objective is None:
        raise BadInput(*problems)
    if objective.scorer == COMBINATION:
        reader = Reader(study.path)
        others = [each for each in study.objectives if each.name not in (instead, name)]
        *_, objective = with_members([*others, objective], reader)
        if reader.problems:
            raise BadInput(*reader.problems)
        objective = check_objective(objective, study.path)
    return objective, _count(objective)


def _count(objective: Objective) -> Counted:
    if objective.data is None:
        return Counted(0, 0)
    rows = read_file(objective.data, objective)
    held = [row.held_back(objective.report_fraction) for row in rows]
    explore = [row for row, back in zip(rows, held, strict=True) if not back]
    report = [row for row, back in zip(rows, held, strict=True) if back]
    return Counted(*(len(limited(each, objective.limit)) for each in (explore, report)))


def measured_of(measured: Measured) -> dict[str, int]:
    """Objective -> how many points have a score of it."""
    there = np.isfinite(measured.mean).sum(axis=0) if len(measured) else np.zeros(0)
    return dict(zip(measured.names, map(int, there), strict=False))


def lacking(measured: Measured, *, singles: bool = True) -> list[int]:
    """Rows of the points that lack the score of some objective.

    Args:
        singles: whether base, target and experts, unmerged count too.
    """
    rows = (row for row in range(len(measured)) if not measured.complete(row))
    return [row for row in rows if singles or not measured.singles[row]]


def lacked(measured: Measured, rows: Sequence[int]) -> list[str]:
    """The objectives on which any of these points has no score."""
    there = np.isfinite(measured.mean[list(rows)])
    return [name for name, each in zip(measured.names, there.T, strict=True) if not each.all()]


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
