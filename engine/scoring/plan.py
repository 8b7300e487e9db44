"""What an evaluation will run, encoded and checked before the first forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.decoding.inputs import Fused, check_ids
from engine.errors import BadInput, Problem
from engine.scoring.data import Row, data_file, read_rows
from engine.scoring.encoding import Encoder, Ids, TextCodec, encoder
from engine.scoring.registry import Scorer, check_objective, find_scorer
from engine.study import Objective, Split


class Scored(Fused, Protocol):
    """What can be scored: `engine.compose.ComposedModel`, or anything of this shape."""

    @property
    def text(self) -> TextCodec: ...
    @property
    def cost(self) -> float: ...


@dataclass(frozen=True)
class Task:
    """One objective, ready to run.

    Attributes:
        objective: with every option of its scorer resolved.
        prompts: ids a row.
        answers: for each row the ids that are measured: the target's, or those of each choice;
            none for what generates.
    """

    objective: Objective
    scorer: Scorer
    rows: tuple[Row, ...]
    prompts: tuple[Ids, ...]
    answers: tuple[tuple[Ids, ...], ...]

    @property
    def generates(self) -> bool:
        return self.scorer.kind in ("text", "kl")


def _answers(codec: Encoder, scorer: Scorer, row: Row, chat: bool) -> tuple[Ids, ...]:
    if scorer.kind == "likelihood":
        return (codec.target(row, chat),)
    return codec.choices(row) if scorer.kind == "choice" else ()


def _problems(model: Fused, task: Task, split: Split) -> list[Problem]:
    """What the models cannot take, by file and line."""
    if task.generates:
        room, after = [task.objective.max_new_tokens] * len(task.rows), "new ones"
    else:
        room = [max(map(len, each), default=0) for each in task.answers]
        after = "of the answer"
    fed = [ids for each in task.answers for ids in each]
    try:
        check_ids(model, task.prompts, room, after)
        check_ids(model, fed, [0] * len(fed), after)
    except BadInput as error:
        first = error
    else:
        return []
    problems: list[Problem] = []
    for row, ids, more, answers in zip(task.rows, task.prompts, room, task.answers, strict=True):
        for each, then in ((ids, more), *((answer, 0) for answer in answers)):
            try:
                check_ids(model, [each], [then], after)
            except BadInput as error:
                where = f"{data_file(task.objective, split)}:{row.line}"
                what = error.problems[0].what
                if not each:
                    what = f"the {'prompt' if each is ids else 'answer'} has no tokens"
                problems.append(Problem(where, what, error.problems[0].fix))
                break
    return problems or list(first.problems)


def _prompt(codec: Encoder, row: Row, objective: Objective, split: Split) -> Ids:
    try:
        return codec.prompt(row, objective.chat)
    except BadInput as error:
        where = f"{data_file(objective, split)}:{row.line}"
        found = [Problem(f"{where}: {each.where}", each.what, each.fix) for each in error.problems]
        raise BadInput(*found) from error


def _task(model: Scored, objective: Objective, split: Split) -> Task:
    objective = check_objective(objective)
    scorer = find_scorer(objective.scorer)
    rows, codec, chat = read_rows(objective, split), encoder(model.text), objective.chat
    task = Task(
        objective,
        scorer,
        rows,
        tuple(_prompt(codec, row, objective, split) for row in rows),
        tuple(_answers(codec, scorer, row, chat) for row in rows),
    )
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
