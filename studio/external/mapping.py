"""From files to external points: which value of a file is the score of which objective.

An objective takes the column, or the lm-eval task, that has its name, or what `--as` names for it:
`facts=arc_easy:acc_norm`. Where several metrics or filters are meant, none is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from engine.errors import bad, unknown
from engine.scoring.registry import SHARE, find_scorer
from engine.study import Direction, Objective
from studio.external.found import Model, Value
from studio.external.lm_eval import read_lm_eval
from studio.external.points import Score
from studio.external.tables import read_csv_models, read_parquet_models

READERS: Mapping[str, Callable[[Path], list[Model]]] = {
    ".json": lambda path: [read_lm_eval(path)],
    ".csv": read_csv_models,
    ".parquet": read_parquet_models,
}
"""The ending of a file -> what reads it."""


def read(path: Path) -> list[Model]:
    """The models of a file, by its ending, read once a state of the file; raises `BadInput`."""
    if path.suffix.lower() not in READERS:
        what = f"the ending {path.suffix!r} is of no format that can be read"
        raise bad(str(path), what, "Give lm-eval's results .json, a .csv or a .parquet file.")
    try:
        found = path.stat()
    except OSError:
        return READERS[path.suffix.lower()](path)  # which says what is wrong
    return list(_read(path, (found.st_mtime_ns, found.st_size, found.st_ino)))


@lru_cache(maxsize=8)
def _read(path: Path, _state: tuple[int, ...]) -> tuple[Model, ...]:
    return tuple(READERS[path.suffix.lower()](path))


def mapped(
    models: Sequence[Model],
    objectives: Sequence[Objective],
    given: Mapping[str, str],
    directions: Mapping[str, Direction],
) -> dict[str, dict[str, Score]]:
    """Name of a model -> objective -> score.

    Args:
        objectives: checked, directions filled in.
        given: objective -> "task:metric" or the name of a column.
        directions: objective -> which values its file holds, where the file does not say.

    Raises:
        BadInput: nothing maps, several values do, a direction is unknown or the other one, or a
            value is none that the objective can have.
    """
    by_name = {each.name: each for each in objectives}
    for where, names in (("--as", given), ("--direction", directions)):
        for name in names:
            if name not in by_name:
                raise unknown(where, "objective", name, by_name)
    found: dict[str, dict[str, Score]] = {}
    met: set[str] = set()
    for model in models:
        scores = found.setdefault(model.name, {})
        for objective in objectives:
            asked = given.get(objective.name, objective.name)
            keys = model.named(asked)
            if not keys:
                continue
            where = f"{model.file}: {objective.name}"
            if len(keys) > 1:
                raise bad(
                    where, f"{asked} may be {', '.join(keys)}",
                    f"Say which: --as {objective.name}={keys[0]}",
                )  # fmt: skip
            if objective.name in scores:
                what = f"{model.name} has another score of it, from {scores[objective.name].file}"
                raise bad(where, what, "Give each model one, or import the files one by one.")
            value = model.values[keys[0]]()
            _check(value, objective, directions.get(objective.name))
            met.add(objective.name)
            scores[objective.name] = Score(
                value.mean, value.stderr, value.n, keys[0], str(model.file), model.sha256,
                model.form, objective.scorer, str(objective.direction),
            )  # fmt: skip
    missing = [f"{name}={text}" for name, text in given.items() if name not in met]
    if missing:
        raise bad("--as", f"no file has {', '.join(missing)}", _there(models))
    empty = [name for name, scores in found.items() if not scores]
    if empty:
        every = ", ".join(by_name)
        what = f"no score of {every} for {', '.join(empty[:5])}"
        raise bad("external", what, f"Map them with --as. {_there(models)}")
    return found


def _there(models: Iterable[Model]) -> str:
    """What the files have, to choose from."""
    keys = list(dict.fromkeys(key for model in models for key in model.values))
    more = f" and {len(keys) - 30} more" if len(keys) > 30 else ""
    return f"There are: {', '.join(keys[:30]) or 'no numbers'}{more}."


def _check(value: Value, objective: Objective, stated: Direction | None) -> None:
    """Raises `BadInput` where a value cannot be a score of the objective."""
    name, scorer, direction = objective.name, find_scorer(objective.scorer), objective.direction
    said = stated if value.higher is None else ("minimize", "maximize")[value.higher]
    if stated not in (None, said):
        what = f"--direction {name} is to {stated}, and the file says to {said}"
        raise bad(value.where, what, "Leave it out: it is for files that do not say.")
    if value.told and said is None:
        raise bad(
            value.where, "the file does not say whether more is better",
            f"Say it: --direction {name}=max or {name}=min.",
        )  # fmt: skip
    if said is not None and said != direction:
        what = f"there it is to {said}, and the objective {name} to {direction}"
        raise bad(value.where, what, "Map it to an objective of the same direction.")
    if scorer.unit == SHARE:
        if not 0 <= value.mean <= 1:
            fix = "Divide percent by 100." if 1 < value.mean <= 100 else "Correct the file."
            what = f"{value.mean:g} is no share of examples, from 0 to 1, as {name} is"
            raise bad(value.where, what, fix)
        if value.stderr is not None and value.stderr > 0.5:
            what = f"a standard error of {value.stderr:g} is impossible for a share"
            raise bad(value.where, what, "Divide percent by 100.")
    elif value.mean < scorer.least:
        what = f"{value.mean:g} is below {scorer.least:g}, the least that {name} can be"
        raise bad(value.where, what, "Map it to another objective.")
