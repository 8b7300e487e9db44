"""The study file: a family, its objectives and slider ranges, read without opening a model.

    study.yaml ──► Study ─┬─ FamilySpec   base, experts, target: paths only
                          ├─ Objective …  data + scorer + options + direction
                          ├─ ranges       method -> coefficient -> (low, high)
                          └─ criteria     constraints, accepted trades, a utility

Relative paths are relative to the file. Scorer options are every objective key that is not listed
here; `engine.scoring` checks them against the scorer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.bands import plain
from engine.errors import BadInput, bad, kind_of, unknown
from engine.recipe import FrozenDict, Method, Names, find_method, read_yaml
from engine.study_data import DATA_KEYS, PLAIN, DataOptions, data_options, data_place
from engine.study_family import FAMILY_KEYS, RESERVED_NAMES, TOWERS, FamilySpec, wordings
from engine.study_file import CHAT_KEYS, Reader, frozen, study_file
from engine.study_members import combination, with_members
from engine.study_reference import reference_paths

if TYPE_CHECKING:
    from engine.front.criteria import Criteria

__all__ = [
    "Direction",
    "FamilySpec",
    "Objective",
    "Split",
    "Study",
    "load_study",
    "objective_of_document",
    "study_of_document",
]

Direction = Literal["maximize", "minimize"]
Split = Literal["explore", "report"]

CRITERIA_KEYS = ("constraints", "cone", "utility")
STUDY_KEYS = ("study", "family", "references", "objectives", "ranges", *CRITERIA_KEYS)
OBJECTIVE_KEYS = (
    "name", "data", "scorer", "direction", "chat", "max_new_tokens", "stop", "limit",
    "report_fraction", "report_data", "temperature", "top_p", "top_k", "seed", *DATA_KEYS,
    *CHAT_KEYS,
)  # fmt: skip


@dataclass(frozen=True)
class Objective:
    """What a mixture is measured on: data, scorer, options and direction.

    Attributes:
        data: a file of rows; None for scorers that need none (cost).
        direction: None until `engine.scoring` fills in the scorer's natural one.
        options: the scorer's own options, unchecked.
        members: what a combination combines.
        report_fraction: share of the rows held back from exploring, by content hash.
        reading: how rows are read where the data are not in our own form.
        template_kwargs: variables of the chat template beside the messages.
        answer_after: what stands up to its last occurrence is no part of an answer, and a text
            without it holds none; empty: the whole text is the answer.
    """

    name: str
    scorer: str
    data: Path | None = None
    direction: Direction | None = None
    chat: bool = False
    max_new_tokens: int = 64
    stop: tuple[str, ...] = ()
    limit: int | None = None
    report_fraction: float = 0.3
    report_data: Path | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    reading: DataOptions = PLAIN
    template_kwargs: Mapping[str, Any] = field(default_factory=FrozenDict)
    answer_after: str = ""
    options: Mapping[str, Any] = field(default_factory=FrozenDict)
    members: tuple[Objective, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", FrozenDict(self.options))
        object.__setattr__(self, "template_kwargs", frozen(self.template_kwargs))


@dataclass(frozen=True)
class Study:
    """A named, resumable study; identified by its file's resolved path.

    Attributes:
        criteria: constraints, accepted trades and utility; None without any.
        references: name -> directory of models that are scored and never mixed.
    """

    name: str
    path: Path
    family: FamilySpec
    objectives: tuple[Objective, ...]
    ranges: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=FrozenDict)
    criteria: Criteria | None = None
    references: Mapping[str, Path] = field(default_factory=FrozenDict)

    def objective(self, name: str) -> Objective:
        for each in self.objectives:
            if each.name == name:
                return each
        raise unknown(str(self.path), "objective", name, [each.name for each in self.objectives])

    def select(self, names: list[str] | tuple[str, ...] | None) -> tuple[Objective, ...]:
        """The objectives named, in that order; all of them if none is named."""
        return self.objectives if not names else tuple(self.objective(name) for name in names)

    def slider_range(self, method: Method, coefficient: str) -> tuple[float, float]:
        """(low, high) of one coefficient's slider: the study's own, else the method's default; a
        model has one range for all its bands of layers."""
        return self.ranges.get(method.name, {}).get(plain(coefficient), method.default_range)


class _StudyReader(Reader):
    """What the keys of a study file mean."""

    def family(self, data: Any) -> FamilySpec:
        data = self.mapping(data, "family", FAMILY_KEYS)
        if "base" not in data:
            self.problem("family", "the key 'base' is missing", "Give the base model's directory.")
        experts = self.mapping(data.get("experts"), "family.experts")
        if not experts:
            self.problem(
                "family.experts",
                "no expert is listed",
                "Give at least one, a name and its directory.",
            )
        for name in experts:
            self.name(name, "family.experts", "an expert", RESERVED_NAMES)
        tokenizer = data.get("tokenizer", "base")
        if tokenizer not in ("base", *experts):
            self.unknown("family.tokenizer", "model", tokenizer, ("base", *experts))
        towers = data.get("towers", "base")
        if towers not in TOWERS:
            self.unknown("family.towers", "choice", towers, TOWERS)
        target = None if data.get("target") is None else self.model(data["target"], "family.target")
        models = ("base", *(() if target is None else ("target",)), *experts)
        return FamilySpec(
            base=self.model(data.get("base", "?"), "family.base"),
            experts={
                name: self.model(value, f"family.experts.{name}") for name, value in experts.items()
            },
            target=target,
            tokenizer=str(tokenizer),
            towers=str(towers),
            templates=wordings(self, data.get("templates"), models),
        )

    def objective(self, data: Any, index: int) -> Objective | None:
        where = f"objectives[{index}]"
        data = self.mapping(data, where)
        if not data:
            return None
        data = combination(self, data, where)
        for key in ("name", "scorer"):
            if not isinstance(data.get(key), str):
                what = f"the key {key!r} is missing"
                self.problem(where, what, "Every objective needs a name and a scorer.")
                return None
        name = data["name"]
        where = f"objective {name}"
        self.name(name, where, "an objective")
        direction = data.get("direction")
        if direction not in (None, "maximize", "minimize"):
            self.unknown(where, "direction", direction, ("maximize", "minimize"))
        limit = data.get("limit")
        return Objective(
            name=name,
            scorer=data["scorer"],
            data=data_place(self, data, "data", where),
            direction=direction,
            chat=self.flag(data, "chat", where),
            max_new_tokens=self.number(
                data.get("max_new_tokens", 64), f"{where}.max_new_tokens", 1, 1 << 20, int
            ),
            stop=self.texts(data, "stop", where),
            limit=None if limit is None else self.number(limit, f"{where}.limit", 1, 1 << 40, int),
            report_fraction=self.number(
                data.get("report_fraction", 0.3), f"{where}.report_fraction", 0.0, 1.0
            ),
            report_data=data_place(self, data, "report_data", where),
            temperature=self.number(
                data.get("temperature", 0.0), f"{where}.temperature", 0.0, 100.0
            ),
            top_p=self.number(data.get("top_p", 1.0), f"{where}.top_p", 0.0, 1.0),
            top_k=self.number(data.get("top_k", 0), f"{where}.top_k", 0, 1 << 40, int),
            seed=self.number(data.get("seed", 0), f"{where}.seed", 0, 1 << 62, int),
            reading=data_options(self, data, where),
            template_kwargs=self.variables(data, "template_kwargs", where),
            answer_after=self.marker(data, "answer_after", where),
            options=self.options(data, OBJECTIVE_KEYS, where),
        )

    def ranges(self, data: Any, names: Names) -> dict[str, FrozenDict]:
        found: dict[str, FrozenDict] = {}
        for method, pairs in self.mapping(data or {}, "ranges").items():
            try:
                allowed = find_method(method, f"{self.path}: ranges").coefficient_names(names)
            except BadInput as error:
                self.problems.extend(error.problems)
                continue
            kept = {}
            for name, pair in self.mapping(pairs, f"ranges.{method}").items():
                where = f"ranges.{method}.{name}"
                if name not in allowed:
                    self.unknown(where, "coefficient", name, allowed)
                elif not isinstance(pair, list) or len(pair) != 2:
                    self.problem(where, f"expected [low, high], got {pair!r}", "Write [0, 1.5].")
                else:
                    low, high = (self.number(each, where, -100.0, 100.0) for each in pair)
                    if not low < high:
                        what = f"low {low:g} is not below high {high:g}"
                        self.problem(where, what, "Write [low, high].")
                    kept[name] = (low, high)
            found[method] = FrozenDict(kept)
        return found

    def criteria(self, data: Mapping[str, Any], names: Sequence[str]) -> Criteria | None:
        if all(data.get(key) is None for key in CRITERIA_KEYS):
            return None
        from engine.front.criteria import criteria  # needs libraries that a plain study does not

        constraints, cone = (self.texts(data, key, key) for key in CRITERIA_KEYS[:2])
        where = {"constraint": "constraints", "cone": "cone", "utility": "utility"}
        try:
            return criteria(
                names, constraints, cone, data.get("utility"),
                {key: f"{self.path}: {value}" for key, value in where.items()},
            )  # fmt: skip
        except BadInput as error:
            self.problems.extend(error.problems)
            return None


def load_study(path: str | Path) -> Study:
    """Read a study file.

    Raises:
        BadInput: no such file, not YAML (file and line), or every problem of its keys and values.
    """
    path = study_file(str(path), Path())
    return study_of_document(read_yaml(path), path)


def study_of_document(data: Any, path: Path) -> Study:
    """The study that a parsed file holds, or would hold at `path`; raises `BadInput` likewise."""
    if not isinstance(data, Mapping):
        what = f"not a study: expected a mapping, got {kind_of(data)}"
        raise bad(str(path), what, "Give the keys study, family and objectives.")
    reader = _StudyReader(path)
    data = reader.mapping(data, "study", STUDY_KEYS)
    name = data.get("study", path.stem)
    reader.name(name, "study", "a study")
    if "family" not in data:
        reader.problem("study", "the key 'family' is missing", "Give base and experts.")
        raise BadInput(*reader.problems)
    family = reader.family(data["family"])
    rows = data.get("objectives")
    if not isinstance(rows, list) or not rows:
        fix = "List at least one: name, data, scorer."
        reader.problem("objectives", "no objectives are given", fix)
        rows = []
    items = [each for index, row in enumerate(rows) if (each := reader.objective(row, index))]
    objectives = with_members(items, reader)
    seen: set[str] = set()
    for each in objectives:
        if each.name in seen:
            reader.problem(f"objective {each.name}", "two objectives have this name", "Rename one.")
        seen.add(each.name)
    ranges = reader.ranges(data.get("ranges"), family.names)
    others = reference_paths(reader, data.get("references"), tuple(family.experts))
    wanted = reader.criteria(data, [each.name for each in objectives])
    if reader.problems:
        raise BadInput(*reader.problems)
    return Study(
        str(name), path, family, tuple(objectives), FrozenDict(ranges), wanted, FrozenDict(others)
    )


def objective_of_document(data: Any, path: Path) -> Objective:
    """One item of `objectives:`, as it would stand in the file `path`; raises `BadInput`."""
    reader = _StudyReader(path)
    found = reader.objective(data, 0)
    if reader.problems or found is None:
        raise BadInput(*reader.problems)
    return found
