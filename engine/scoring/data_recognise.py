"""What a table is, and how its records are read for one objective: decided once a file, before any
row is read, and never by a guess.

    columns: given        the mapping, names checked against the file
    our own form          prompt or messages, and what the scorer needs beside it
    a published shape     `engine.scoring.data_published`
    names                 one column that is a prompt, one that is a target
    else                  refused, with the lines of a study that would say it
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from engine.scoring.data_columns import Use, spelt
from engine.scoring.data_names import BESIDE, CHOICES, FROM_0, PROMPTS, TARGETS
from engine.scoring.data_own import BOTH
from engine.scoring.data_published import SHAPES, WHOLE_TEXTS
from engine.scoring.data_reading import Reading
from engine.scoring.data_shapes import Shape, plain
from engine.scoring.data_table import Table, Unread
from engine.scoring.registry import SCORERS, Scorer
from engine.study_data import PLAIN, DataOptions

NEEDS: Mapping[Use, str] = {
    "prompt": "a prompt",
    "answer": "a prompt and a target",
    "likelihood": "a prompt and a target, or a text",
    "choices": "a prompt, choices and an answer",
}


def use_of(scorer: Scorer, options: Mapping[str, Any]) -> Use:
    """What a scorer with these resolved options needs of a row."""
    needs = scorer.needs_of(options)
    if needs == "target":
        return "likelihood" if scorer.kind == "likelihood" else "answer"
    return "choices" if needs == "choices" else "prompt"


def _served(shape: Shape) -> str:
    """The scorers that a shape has what they need for, of those whose needs are always the same."""
    fixed = [each for each in SCORERS.values() if each.needs in ("prompt", "target", "choices")]
    found = [each.name for each in fixed if shape.serves(use_of(each, {}))]
    return f"{', '.join(found[:-1])} or {found[-1]}" if len(found) > 1 else "".join(found)


def _names(table: Table) -> tuple[dict[str, str], dict[str, str]]:
    """`plain` name -> name as written: of all columns, and of those that most records have."""
    counts: dict[str, int] = {}
    objects = table.objects()
    for keys, records in Counter(map(tuple, objects)).items():  # most files have one set of keys
        for name in keys:
            counts[name] = counts.get(name, 0) + records
    found: dict[str, str] = {}
    most: dict[str, str] = {}
    for name, count in counts.items():
        if 2 * count >= len(objects):
            most.setdefault(plain(str(name)), str(name))
    for name in [*most.values(), *map(str, counts)]:
        found.setdefault(plain(name), name)
    return found, most


def _own(records: Sequence[Mapping[str, Any]], use: Use) -> bool:
    """Whether some record is in our own form, with what the use needs beside the prompt."""
    for record in records:
        if "messages" in record and "prompt" not in record:
            return True
        if "prompt" not in record or isinstance(record["prompt"], list | Mapping):
            continue
        if use == "prompt" or (use == "choices" and {"choices", "answer"} & record.keys()):
            return True
        if use in ("answer", "likelihood") and {"target", "targets"} & record.keys():
            return True
    return False


def recognise(table: Table, given: DataOptions, use: Use, scorer: str) -> Reading:
    """How a table's records are read.

    Args:
        given: what the study says of the data.
        scorer: the scorer's name, for messages.

    Raises:
        Unread: no reading is certain; what is there, the question, and lines that answer it.
    """
    records = table.objects()
    if not records:
        return Reading(use, "", dataclasses.replace(given, columns={}), table.untyped)
    if given.columns:
        _check_columns(table, given)
        return _known(_completed(Reading(use, "", given, table.untyped), table, scorer), table)
    names, most = _names(table)
    first = spelt(records[0], table.untyped)
    shape = _shape(table, most)
    own = _own([first, *records[1:]], use)
    both = sum({"prompt", "messages"} <= each.keys() for each in records) * 2 > len(records)
    if both and (shape is None or not shape.serves(use) or own):
        raise Unread(f"{_seen(table)}: it has both prompt and messages", BOTH)
    if own and (shape is None or shape.columns.get("prompt") == "prompt" or "messages" in most):
        name, note = ("", "") if shape is None else (shape.name, shape.note)
        note = "" if given.rows else note
        options = dataclasses.replace(given, columns={})
        return Reading(use, name, options, table.untyped, note=note)
    if shape is not None and shape.refusal:
        what = f"{_seen(table)}: {shape.name}, {shape.refusal}"
        raise Unread(f"{what}; {scorer} needs {NEEDS[use]}", shape.note)
    if shape is not None and shape.serves(use):
        return _alone(_of_shape(shape, names, given, table, use), table, most)
    by_names = _by_names(table, given, use, most)
    if by_names is not None:
        return _alone(by_names, table, most)
    whole = next((each for each in WHOLE_TEXTS if each.matches(most, first)), None)
    if whole is not None and not own and not set(PROMPTS) & most.keys() and shape is None:
        if use == "likelihood":
            return _of_shape(whole, names, given, table, use)
        if use == "prompt":
            column = str(whole.columns["target"])
            options = dataclasses.replace(given, columns={"prompt": names[column]})
            return Reading(use, "texts", options, table.untyped)
        shape = whole
    if shape is None and (own or any({"prompt", "messages"} & set(e) for e in records)):
        return Reading(use, "", dataclasses.replace(given, columns={}), table.untyped)
    raise _unknown(table, shape, use, scorer, most)


def _shape(table: Table, most: Mapping[str, str]) -> Shape | None:
    first = spelt(table.objects()[0], table.untyped)
    return next((each for each in SHAPES if each.matches(most, first)), None)


def _known(reading: Reading, table: Table) -> Reading:
    """A given mapping with what is known of its answers: those of a shape whose columns it names,
    else whether their numbers may count from 1."""
    options = reading.options
    if reading.use != "choices" or "answer" not in options.columns or options.answer_is is not None:
        return reading
    names, most = _names(table)
    shape = _shape(table, most)
    if shape is not None and shape.derive is None and shape.serves(reading.use):
        theirs = shape.options(names, reading.use)
        same = all(theirs.columns.get(e) == options.columns.get(e) for e in ("choices", "answer"))
        if same:
            answer_is = theirs.answer_is
            options = dataclasses.replace(options, answer_is=answer_is)
            return dataclasses.replace(reading, options=options, open=shape.open)
    counted = plain(str(options.columns["answer"]).rpartition(".")[2])
    return dataclasses.replace(reading, open=counted not in FROM_0)


def _of_shape(
    shape: Shape, names: Mapping[str, str], given: DataOptions, table: Table, use: Use
) -> Reading:
    own = shape.options(names, use)
    changed = {
        each.name: value
        for each in dataclasses.fields(DataOptions)
        if each.name != "columns"
        and (value := getattr(given, each.name)) != getattr(PLAIN, each.name)
    }
    options = dataclasses.replace(own, **changed)
    return Reading(use, shape.name, options, table.untyped, shape.derive, shape.note, shape.open)


def _alone(reading: Reading, table: Table, most: Mapping[str, str]) -> Reading:
    """The reading, where no column is left that may belong to the prompt."""
    columns = reading.options.columns
    used = {
        name
        for value in columns.values()
        for name in ((value,) if isinstance(value, str) else value)
    }
    beside = [most[each] for each in BESIDE if each in most and most[each] not in used]
    beside = [each for each in beside if any(e.get(each) for e in table.objects())]
    if not beside or reading.derive is not None:
        return reading
    without = dataclasses.replace(reading.options, rows={})
    lines = [without.lines()]
    if "prompt" in columns:
        prompt = columns["prompt"]
        whole = (*beside, *((prompt,) if isinstance(prompt, str) else prompt))
        lines.insert(0, dataclasses.replace(without, columns={**columns, "prompt": whole}).lines())
    what = f"whether {' and '.join(beside)} belongs to the prompt is ambiguous"
    raise Unread(f"{_seen(table)}: {what}", f"State it in the objective: {' or '.join(lines)}.")


def _seen(table: Table) -> str:
    columns = [str(each) for each in table.columns]
    shown = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
    return f"it is {table.form} with the columns {shown or 'none'}"


def _by_names(
    table: Table, given: DataOptions, use: Use, most: Mapping[str, str]
) -> Reading | None:
    """A reading by columns whose names can mean one thing only; None if they do not."""
    prompts = [most[each] for each in PROMPTS if each in most]
    targets = [most[each] for each in TARGETS if each in most]
    if len(prompts) != 1 or use == "choices":
        return None
    if use != "prompt" and set(CHOICES) & most.keys():
        return None
    columns: dict[str, str | tuple[str, ...]] = {"prompt": prompts[0]}
    if use in ("answer", "likelihood"):
        if len(targets) != 1:
            return None
        columns["target"] = targets[0]
    options = dataclasses.replace(given, columns=columns)
    return Reading(use, "columns by their names", options, table.untyped)


def _unknown(
    table: Table, shape: Shape | None, use: Use, scorer: str, most: Mapping[str, str]
) -> Unread:
    """Why nothing is read, and the lines that would say it."""
    if shape is not None:
        what = f"{_seen(table)}: {shape.name}, which fits the scorer {_served(shape)}"
        return Unread(f"{what}; {scorer} needs {NEEDS[use]}", _lines(table, use, most))
    return Unread(
        f"{_seen(table)}, and {scorer} needs {NEEDS[use]}: which columns those are is ambiguous",
        _lines(table, use, most),
    )


def _lines(table: Table, use: Use, most: Mapping[str, str]) -> str:
    """`columns:` lines for what is most likely, to copy into the objective."""
    prompts = [most[each] for each in PROMPTS if each in most] or ["COLUMN"]
    if use == "prompt":
        choices = [{"prompt": each} for each in prompts]
    elif use == "choices":
        choices = [{"prompt": each, "choices": "COLUMN", "answer": "COLUMN"} for each in prompts]
    else:
        targets = [most[each] for each in TARGETS if each in most] or ["COLUMN"]
        pairs = itertools.product(prompts, targets)
        choices = [{"prompt": a, "target": b} for a, b in pairs if a != b]
        choices = choices or [{"prompt": prompts[0], "target": "COLUMN"}]
    lines = [DataOptions(columns=dict(each)).lines() for each in choices[:4]]
    return f"State it in the objective: {' or '.join(lines)}."


def _completed(reading: Reading, table: Table, scorer: str) -> Reading:
    """A given mapping with our own names where it is silent and the file has them."""
    columns = dict(reading.options.columns)
    there = set(map(str, table.columns))
    if not {"prompt", "messages"} & columns.keys():
        columns |= {"prompt": "prompt"} if "prompt" in there else {}
        if "prompt" not in columns and "messages" in there:
            columns["messages"] = "messages"
    if reading.use in ("answer", "likelihood") and not {"target", "targets"} & columns.keys():
        columns |= {each: each for each in ("target", "targets") if each in there}
    if reading.use == "choices" and "right" not in columns:
        columns |= {e: e for e in ("choices", "answer") if e in there and e not in columns}
    lacking = _lacking(reading.use, columns)
    if lacking:
        what = f"columns: does not name {' and '.join(lacking)}, which {scorer} needs"
        raise Unread(f"{_seen(table)}; {what}", _lines(table, reading.use, _names(table)[1]))
    return dataclasses.replace(
        reading, options=dataclasses.replace(reading.options, columns=columns)
    )


def _lacking(use: Use, columns: Mapping[str, Any]) -> list[str]:
    found = []
    if not {"prompt", "messages"} & columns.keys() and not (
        use == "likelihood" and {"target", "targets"} & columns.keys()
    ):
        found.append("the prompt")
    talks = "messages" in columns
    if use in ("answer", "likelihood") and not talks and not {"target", "targets"} & columns.keys():
        found.append("the target")
    if use == "choices" and "right" not in columns:
        found += [f"the {each}" for each in ("choices", "answer") if each not in columns]
    return found


def _check_columns(table: Table, given: DataOptions) -> None:
    """Every name of the mapping is a column, or leads inside one."""
    there = [str(each) for each in table.columns]
    names = [
        name
        for value in given.columns.values()
        for name in ((value,) if isinstance(value, str) else value)
    ]
    for name in [*names, *given.rows]:
        heads = [name, *(name[:place] for place, each in enumerate(name) if each == ".")]
        if not set(heads) & set(there):
            near = difflib.get_close_matches(name, there, n=3, cutoff=0.5)
            hint = f"Did you mean {', '.join(near)}?" if near else "Use one of these."
            raise Unread(f"{_seen(table)}, but no column is called {name!r}", hint)
