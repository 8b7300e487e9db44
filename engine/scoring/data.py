"""Data of an objective: a file in, rows of one split out, every problem with its file and line.

    bytes ──► Table ──► Reading ──► Row …       data_formats, data_recognise, data_parse
              records    decided     checked, what an answer means
              and lines  once a file told over the whole file

Blank lines and a byte order mark are skipped. `look` shows what a file is and how its first rows
are read, before anything is measured with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from engine.counted import counted
from engine.errors import BadInput, Problem, bad
from engine.scoring.data_columns import Use
from engine.scoring.data_distinct import Copy, copies_said
from engine.scoring.data_formats import read_bytes
from engine.scoring.data_parse import Content, Parsed, parse
from engine.scoring.data_reading import Reading
from engine.scoring.data_recognise import NEEDS, use_of
from engine.scoring.data_row import Row, canonical_messages, in_report
from engine.scoring.registry import Scorer, find_scorer
from engine.study import Objective, Split

__all__ = [
    "Look",
    "Row",
    "canonical_messages",
    "data_file",
    "effective",
    "limited",
    "look",
    "placed_otherwise",
    "problems_of",
    "read_bytes",
    "read_file",
    "read_rows",
]

_KEY: Callable[[Row], str] = attrgetter("key")

SHOWN = 20
"""Problems listed of one file; the rest is counted."""


def _read(path: Path, objective: Objective) -> tuple[Parsed, Scorer]:
    where = f"objective {objective.name}"
    scorer = find_scorer(objective.scorer, where)
    use = use_of(scorer, scorer.resolve(objective.options, where))
    content = Content(read_bytes(path, where))
    empty = scorer.empty_target
    return parse(content, path.name, objective.reading, use, empty, scorer.name), scorer


def read_file(path: Path, objective: Objective) -> tuple[Row, ...]:
    """Every row of a data file, checked for the objective's scorer.

    Raises:
        BadInput: the file cannot be read or is empty, its columns cannot be told, or all that is
            wrong with its lines (the first 20 in full).
    """
    parsed, scorer = _read(path, objective)
    problems = parsed.problems
    if problems:
        listed = [_problem(parsed, path, *each) for each in problems[:SHOWN]]
        if len(problems) > SHOWN:
            what = f"{len(problems) - SHOWN} more lines cannot be used"
            needs = NEEDS[use_of(scorer, scorer.resolve(objective.options, scorer.name))]
            listed.append(Problem(f"{path}", what, f"{scorer.name} needs {needs}."))
        raise BadInput(*listed)
    if not parsed.rows:
        raise bad(f"{path}", "the file has no rows", "Give at least one JSON object, one per line.")
    return parsed.rows


def _problem(parsed: Parsed, path: Path, line: int | None, what: str, fix: str) -> Problem:
    """One problem; the first of a file says what the file was taken for."""
    first = (line, what, fix) == parsed.problems[0]
    if first and parsed.reading is not None and parsed.table.form != "JSON Lines":
        fix = f"{fix} (The file was read as {parsed.table.form}.)".strip()
    if first and parsed.reading is not None and parsed.reading.name:
        fix = f"{fix} (Its columns: {parsed.reading.name}; {parsed.reading.words()}.)".strip()
    place = str(path) if line is None else parsed.table.place(path, line)
    return Problem(place, what, fix)


@dataclass(frozen=True)
class Look:
    """What a data file is, before it is used.

    Attributes:
        form: the format's name; "unknown" where it is none that is read.
        columns: names in the file.
        reading: how it is read; None if that is not certain.
        rows: the first three, as they will be read.
        count: rows that can be read, each once.
        copies: rows that repeat one of them: (line, line of the one).
        records: as they stand in the file, those that `rows:` keeps.
    """

    path: Path
    use: Use
    form: str
    columns: tuple[str, ...]
    reading: Reading | None
    rows: tuple[Row, ...]
    count: int
    records: tuple[dict[str, Any], ...]
    copies: tuple[Copy, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it is JSON Lines in our own form, of which nothing needs to be said."""
        return (
            not self.copies
            and self.form == "JSON Lines"
            and (self.reading is not None and self.reading.own and not self.reading.name)
        )

    def sentence(self) -> str:
        """The format, the shape and what is read as what, in one sentence."""
        count = counted(self.count, "row")
        if self.reading is None:
            return f"{self.form}, columns {', '.join(self.columns) or 'none'}."
        said = copies_said(self.copies)
        note = "".join(f" {each}" for each in (self.reading.note, said) if each)
        if self.reading.own and not self.reading.name:
            return f"{self.form}, {count} in Paretoscope's own format.{note}"
        name = f", read as {self.reading.name}" if self.reading.name else ""
        return f"{self.form}, {count}{name}: {self.reading.words()}.{note}"


def look(path: Path, objective: Objective) -> Look:
    """What a file is for an objective; raises `BadInput` only where it cannot be opened."""
    parsed, scorer = _read(path, objective)
    return Look(
        path,
        use_of(scorer, scorer.resolve(objective.options, scorer.name)),
        parsed.table.form,
        tuple(str(each) for each in parsed.table.columns),
        parsed.reading,
        parsed.rows[:3],
        len(parsed.rows),
        tuple(parsed.table.objects()),
        parsed.copies,
    )


def problems_of(path: Path, objective: Objective) -> list[Problem]:
    """What `read_file` would raise; none where it would not."""
    try:
        read_file(path, objective)
    except BadInput as error:
        return list(error.problems)
    return []


def effective(objective: Objective) -> dict[str, Any]:
    """The mapping that an objective's data are read by, given or recognised; {} for our own form.

    Raises:
        BadInput: the data cannot be opened, or the objective's scorer or options are not known.
    """
    if objective.data is None:
        return objective.reading.as_dict()
    parsed, _ = _read(objective.data, objective)
    reading = objective.reading if parsed.reading is None else parsed.reading.options
    name = "" if parsed.reading is None or parsed.reading.derive is None else parsed.reading.name
    return {**({"shape": name} if name else {}), **reading.as_dict()}


def limited(
    rows: Sequence[Row], limit: int | None, key: Callable[[Row], str] = _KEY
) -> tuple[Row, ...]:
    """The `limit` rows of smallest key (then place), in file order; all of them without a limit."""
    if limit is None or limit >= len(rows):
        return tuple(rows)
    kept = sorted(rows, key=lambda row: (key(row), row.index))[:limit]
    return tuple(sorted(kept, key=lambda row: row.index))


def _picked(
    rows: Sequence[Row], objective: Objective, split: Split, key: Callable[[Row], str] = _KEY
) -> tuple[Row, ...]:
    """The rows of a file that belong to a split; perhaps none."""
    if objective.report_data is None:
        fraction = objective.report_fraction
        rows = [row for row in rows if in_report(key(row), fraction) == (split == "report")]
    return limited(rows, objective.limit, key)


def has_rows(objective: Objective, split: Split) -> bool:
    """Whether a split has rows to score; a scorer without data needs none.

    Raises:
        BadInput: anything wrong with the file.
    """
    path = data_file(objective, split)
    return path is None or bool(_picked(read_file(path, objective), objective, split))


def placed_otherwise(objective: Objective) -> bool:
    """Whether versions that placed a row by its text as it stands, and counted copies, took other
    rows: their scores are not those of now."""
    splits: tuple[Split, ...] = ("explore", "report")
    for split in splits:
        path = data_file(objective, split)
        if path is None:
            return False
        parsed, _ = _read(path, objective)
        before = _picked(parsed.every, objective, split, attrgetter("exact"))
        if [row.line for row in before] != [
            row.line for row in _picked(parsed.rows, objective, split)
        ]:
            return True
    return False


def data_file(objective: Objective, split: Split) -> Path | None:
    """The file that a split's rows come from."""
    return (split == "report" and objective.report_data) or objective.data


def read_rows(objective: Objective, split: Split) -> tuple[Row, ...]:
    """The rows of one split of an objective, in file order; none for a scorer without data.

    Raises:
        BadInput: anything wrong with the file, or no row in this split.
    """
    path = data_file(objective, split)
    if path is None:
        return ()
    rows = read_file(path, objective)
    kept = _picked(rows, objective, split)
    if not kept:
        fraction = objective.report_fraction
        what = (
            f"none of its {len(rows)} rows are in the {split} split at report_fraction {fraction:g}"
        )
        fix = "Add rows, change report_fraction, or set report_data to another file."
        raise bad(f"{path}: objective {objective.name}: report_fraction", what, fix)
    scorer, where = find_scorer(objective.scorer), f"{path}: objective {objective.name}"
    if scorer.refuse is not None:
        found = scorer.refuse(kept, scorer.resolve(objective.options, where))
        if found:
            raise BadInput(
                *(
                    Problem(where if row is None else row.place(path), what, fix)
                    for row, what, fix in found[:SHOWN]
                )
            )
    return kept
