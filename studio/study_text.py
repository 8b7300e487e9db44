"""Changes to the objectives of a study file, which keeps its comments, order and quoting.

    text ──► ruamel.yaml ──► an item more, other or less ──► read again as a study ──► the file

Only a text that `engine.yaml_reading` has read within its limits comes here. What comes out is read
again before it takes the file's place: where it is not just the study that is wanted, the file
stays as it was.
"""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.tokens import CommentToken

from engine.errors import bad, first_line, unknown
from engine.replacing import successor
from engine.study import Objective, Study, load_study, objective_of_document
from engine.yaml_writing import dumped

Change = Callable[[CommentedSeq], None]


def add_objective(path: Path, item: Mapping[str, Any]) -> None:
    """Add an item at the end of a study file's `objectives:`.

    Raises:
        BadInput: the file cannot be read as a study, or not be written, or it would not hold the
            item; it is then as it was.
    """
    study, more = load_study(path), objective_of_document(item, path)

    def change(items: CommentedSeq) -> None:
        tail = _cut_tail(items[-1])
        items.append(_node(item))
        _add_tail(items[-1], tail)

    _edit(path, study, (*study.objectives, more), change)


def replace_objective(path: Path, name: str, item: Mapping[str, Any]) -> None:
    """Replace an item's values; values that do not change keep their formatting.

    Raises:
        BadInput: as for `add_objective`; there is no objective `name`.
    """
    study, other = load_study(path), objective_of_document(item, path)
    place = _place(study, name)

    def change(items: CommentedSeq) -> None:
        old, new = items[place], _node(item)
        tail = _cut_tail(old)
        for key in [each for each in old if each not in new]:
            del old[key]
        for key, value in new.items():
            if key not in old or old[key] != value:
                old[key] = value
        _add_tail(old, tail)

    wanted = [*study.objectives]
    wanted[place] = other
    _edit(path, study, tuple(wanted), change)


def remove_objective(path: Path, name: str) -> None:
    """Remove an item; comments below it stay.

    Raises:
        BadInput: as for `add_objective`; there is no objective `name`, or no other.
    """
    study = load_study(path)
    place = _place(study, name)
    if len(study.objectives) == 1:
        what = f"{name} is its only objective, and a study needs one"
        raise bad(str(path), what, "Add another one first.")

    def change(items: CommentedSeq) -> None:
        tail = _cut_tail(items[place])
        del items[place]
        if place:
            _add_tail(items[place - 1], tail)
        elif comment := "\n".join(each.strip().lstrip("# ") for each in tail.splitlines()).strip():
            items.yaml_set_comment_before_after_key(0, before=comment, indent=items.lc.col)

    _edit(path, study, (*study.objectives[:place], *study.objectives[place + 1 :]), change)


def _place(study: Study, name: str) -> int:
    names = [each.name for each in study.objectives]
    if name not in names:
        raise unknown(str(study.path), "objective", name, names)
    return names.index(name)


def _node(item: Mapping[str, Any]) -> CommentedMap:
    """An item as ruamel.yaml holds it, its texts in quotes where any version of YAML needs them."""
    [found] = YAML().load(dumped([dict(item)]))
    return found


def _edit(path: Path, study: Study, objectives: tuple[Objective, ...], change: Change) -> None:
    """Change the file so that it has these objectives and is otherwise unchanged."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
        _put(path, changed(text, change), dataclasses.replace(study, objectives=objectives))
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise bad(str(path), what, "Check the permissions of its directory.") from None
    except (YAMLError, ValueError) as error:  # 2024-13-01 is a text to us, and no date to ruamel
        what = f"cannot be changed ({first_line(error)})"
        raise bad(str(path), what, "Change the file by hand.") from None


def changed(text: str, change: Change) -> str:
    """The text of a study file after a change of its list of objectives."""
    newline = "\r\n" if "\r\n" in text else "\n"
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10**6  # no text is cut at its spaces
    root = yaml.load(text.replace("\r\n", "\n"))
    items = root["objectives"]
    offset = 0 if items.fa.flow_style() else items.lc.col
    family = root["family"]
    inner = 2 if family.fa.flow_style() else family.lc.col
    yaml.indent(mapping=inner or 2, sequence=offset + 2, offset=offset)
    change(items)
    out = io.StringIO()
    yaml.dump(root, out)
    return out.getvalue().replace("\n", newline)


def _put(path: Path, text: str, wanted: Study) -> None:
    """Replace the file by the text, if it parses as the intended study."""
    with successor(path) as (name, handle):
        with open(handle, "w", encoding="utf-8", newline="", closefd=False) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, name)
        made = load_study(name)
        if dataclasses.replace(made, path=wanted.path, name=wanted.name) != wanted:
            raise bad(
                str(path), "other parts of the file would change too", "Change the file by hand."
            )
        os.replace(name, path)


# Comments and blank lines below an item hang on the last thing that it says.


def _last(node: Any) -> tuple[Any, Any, int]:
    """What holds the last thing that an item says, its key there, and which comment ends its
    line."""
    while True:
        is_list = isinstance(node, CommentedSeq)
        key = len(node) - 1 if is_list else list(node)[-1]
        inner = node[key]
        if not isinstance(inner, CommentedMap | CommentedSeq) or not inner or inner.fa.flow_style():
            return node, key, 0 if is_list else 2
        node = inner


def _cut_tail(item: CommentedMap) -> str:
    """The lines below an item, which no longer hang on it."""
    holder, key, place = _last(item)
    tokens = holder.ca.items.get(key)
    token = tokens[place] if tokens else None
    if token is None:
        return ""
    own, _, below = token.value.partition("\n")
    token.value = own + "\n"
    if not own.strip():
        tokens[place] = None
    return str(below)


def _add_tail(item: CommentedMap, below: str) -> None:
    """Lines that stand below an item from now on, under what stands there."""
    if not below:
        return
    holder, key, place = _last(item)
    tokens = holder.ca.items.setdefault(key, [None, None] if place == 0 else [None] * 4)
    if tokens[place] is None:
        tokens[place] = CommentToken("\n", CommentMark(0), None)
    tokens[place].value += below
