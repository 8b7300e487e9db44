"""What an evaluation will run, encoded and checked before the first forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from engine.decoding.inputs import NONE_OWN, Fused, check_ids, rows_of
from engine.errors import BadInput, Problem, bad
from engine.scoring.data import Row, data_file, read_rows
from engine.scoring.encoding import Encoder, Halves, Ids, TextCodec, encoder
from engine.scoring.own_words import encoders, shared_space
from engine.scoring.registry import Scorer, check_objective, find_scorer
from engine.study import Objective, Split

T = TypeVar("T")

FIRST = 64
"""Rows of an objective that are as good as any for a look at what a model makes of them."""


class Scored(Fused, Protocol):
    """What can be scored: `engine.compose.ComposedModel`, or anything of this shape."""

    @property
    def text(self) -> TextCodec: ...
    @property
    def own(self) -> Mapping[int, TextCodec]: ...
    @property
    def cost(self) -> float: ...


@dataclass(frozen=True)
class Task:
    """One objective, ready to run.

    Attributes:
        objective: with every option of its scorer resolved.
        prompts: ids a row that a text is generated from; none for what is measured.
        pairs: for each row what is measured, as (ids that are read first, ids that are scored): the
            target, or each choice; none for what generates.
        alone: for each row its choices without the prompt, likewise; only where the scorer asks.
        own: place of a module -> what it reads first in each row, instead of the prompt.
    """

    objective: Objective
    scorer: Scorer
    rows: tuple[Row, ...]
    prompts: tuple[Ids, ...] = ()
    pairs: tuple[tuple[Halves, ...], ...] = ()
    alone: tuple[tuple[Halves, ...], ...] = ()
    own: Mapping[int, tuple[Ids, ...]] = field(default_factory=dict)

    def first_texts(self) -> list[Ids]:
        """What the first rows have the models read, none empty."""
        if self.generates:
            return [ids for ids in self.prompts[:FIRST] if ids]
        return [(*a, *b) for pairs in self.pairs[:FIRST] for a, b in pairs[:1] if a or b]

    @property
    def generates(self) -> bool:
        """Whether prompts are continued; what a text costs is counted as it is written."""
        return self.scorer.generates or (self.scorer.kind == "none" and bool(self.rows))


def _problems(model: Fused, task: Task, split: Split) -> list[Problem]:
    """What the models cannot take, by file and line."""
    if task.generates:
        new, after = task.objective.max_new_tokens, "new ones"
        read = [[("prompt", ids, new)] for ids in task.prompts]
    else:
        after = "of the answer"
        read = [
            [each for prompt, ids in row for each in (("prompt", prompt, len(ids)),
                                                      ("answer", ids, 0))]
            for row in task.pairs
        ]  # fmt: skip

    def look(found: Sequence[tuple[int, str, Ids, int]]) -> None:
        for kind in ("prompt", "answer"):
            some = [each for each in found if each[1] == kind]
            own = rows_of(task.own, [row for row, *_ in some]) if kind == "prompt" else NONE_OWN
            ids, rooms = [ids for _, _, ids, _ in some], [room for *_, room in some]
            check_ids(model, ids, rooms, after, own)

    every = [(place, *each) for place, row in enumerate(read) for each in row]
    try:
        look(every)
    except BadInput as error:
        first = error
    else:
        return []
    problems: list[Problem] = []
    for place, (row, parts) in enumerate(zip(task.rows, read, strict=True)):
        for name, ids, room in parts:
            try:
                look([(place, name, ids, room)])
            except BadInput as error:
                where = row.place(data_file(task.objective, split))
                what = error.problems[0].what if ids else f"the {name} has no tokens"
                problems.append(Problem(where, what, error.problems[0].fix))
                break
    return problems or list(first.problems)


def _task(model: Scored, objective: Objective, split: Split) -> Task:
    objective = check_objective(objective)
    scorer = find_scorer(objective.scorer)
    if scorer.kind == "combined":
        what = "it is worked out from the scores of others"
        raise bad(f"objective {objective.name}", what, "Score the objectives that it combines.")
    rows, codec = read_rows(objective, split), encoder(model.text)
    own = encoders(model.own)

    def space(row: Row) -> int | None:
        return shared_space(row, objective, codec, own)

    def own_prompt(its: Encoder) -> Callable[[Row, Objective], Ids]:
        return lambda row, objective: its.before(row, objective, space(row) or 0)

    def each(encode: Callable[[Row, Objective], T]) -> tuple[T, ...]:
        found = []
        for row in rows:
            try:
                found.append(encode(row, objective))
            except BadInput as error:
                where = row.place(data_file(objective, split))
                raise BadInput(
                    *(Problem(f"{where}: {p.where}", p.what, p.fix) for p in error.problems)
                ) from error
        return tuple(found)

    for codes in (codec, *own.values()):
        codes.render(rows, objective)
    task = Task(objective, scorer, rows)
    if task.generates:
        prompts = {place: each(its.prompt) for place, its in own.items()}
        task = replace(task, prompts=each(codec.prompt), own=prompts)
    elif scorer.kind == "likelihood":
        pairs = each(lambda row, objective: (codec.target(row, objective, space(row)),))
        task = replace(task, pairs=pairs)
    elif scorer.kind == "choice":
        alone = objective.options.get("normalize") == "unconditional"
        task = replace(
            task,
            pairs=each(lambda row, objective: codec.choices(row, objective, space(row))),
            alone=each(codec.unconditional) if alone else (),
        )
    if task.pairs:
        task = replace(task, own={place: each(own_prompt(its)) for place, its in own.items()})
    problems = _problems(model, task, split)
    if problems:
        raise BadInput(*problems)
    return task


def tasks(model: Scored, objectives: Sequence[Objective], split: Split) -> list[Task]:
    """Every objective ready to run on this model.

    Raises:
        BadInput: the problems of all of them: options, data, prompts without tokens, or too long.
    """
    found: list[Task] = []
    problems: list[Problem] = []
    for objective in objectives:
        try:
            found.append(_task(model, objective, split))
        except BadInput as error:
            problems.extend(error.problems)
    if problems:
        raise BadInput(*dict.fromkeys(problems))
    return found
