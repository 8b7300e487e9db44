"""external: what others measured, as external points of a study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.commands.session import Session
from engine.errors import bad, unknown
from engine.study import Direction
from studio.external.mapping import mapped, read
from studio.external.points import externals_of

WORDS: dict[str, Direction] = {
    "max": "maximize", "maximize": "maximize", "min": "minimize", "minimize": "minimize",
}  # fmt: skip


def external(args: SimpleNamespace) -> dict[str, Any]:
    """Import files, or remove external points; without either list those there are."""
    given = vars(args)["as"]  # a word of Python's
    files = [Path(each).expanduser().absolute() for each in args.file]
    if not files and (given or args.direction or args.name):
        raise bad("external", "no file is given", "Name the files to import.")
    directions = {
        name: _direction(word) for name, word in _once(args.direction, "--direction").items()
    }
    mapping = _once(given, "--as")
    with Session(args) as session:
        externals = externals_of(session)
        removed = externals.remove(args.remove) if args.remove else []
        models = [model for file in files for model in read(file)]
        scores = mapped(models, session.objectives, mapping, directions)
        if args.name is not None:
            if len(scores) != 1:
                what = f"the files are of {len(scores)} models ({', '.join(list(scores)[:5])})"
                raise bad("--name", what, "Import them one by one.")
            scores = dict(zip([args.name], scores.values(), strict=True))
        imported = externals.add(scores) if scores else []
        return {
            "imported": [each.document() for each in imported],
            "removed": [each.id for each in removed],
            "external": _documents(externals.all(), session),
        }


def _documents(found: Sequence[Any], session: Session) -> list[dict[str, Any]]:
    """Every external point; `stale` names the objectives that are others now, and not shown."""
    by_name = {each.name: each for each in session.objectives}
    documents = []
    for each in found:
        stale = [
            name
            for name, score in each.scores.items()
            if name not in by_name or not score.of(by_name[name])
        ]
        documents.append({**each.document(), "stale": stale})
    return documents


def _direction(word: str) -> Direction:
    if word not in WORDS:
        raise unknown("--direction", "direction", word, ("max", "min"))
    return WORDS[word]


def _once(pairs: Iterable[tuple[str, str]], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if found.setdefault(name, value) != value:
            raise bad(option, f"{name} is given as {found[name]} and as {value}", "Give one.")
    return found
