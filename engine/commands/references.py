"""references: the scores of models that are never mixed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from engine.commands.session import Session
from engine.errors import bad
from engine.scoring.intervals import with_interval
from studio.references import Reference, References, references_of


def references(args: SimpleNamespace) -> dict[str, Any]:
    """Score the references of a study on what they lack, and print them."""
    with Session(args) as session:
        if not session.study.references:
            fix = "Add references: {name: directory} to it."
            raise bad(str(session.study.path), "the study has no references", fix)
        found = references_of(session)
        for refused in found.refused.values():
            raise refused
        chosen = session.chosen()
        for each in found.lacking():
            payload = each.payload()
            payload["objectives"] = [name for name in payload["objectives"] if name in chosen]
            payload["have"] = [row["id"] for row in found.rows(each).values()]
            if payload["objectives"]:
                session.run("evaluate", payload)
        session.store.refresh()
        return {"references": [_document(found, each, chosen) for each in found.all.values()]}


def _document(found: References, reference: Reference, chosen: list[str]) -> dict[str, Any]:
    rows = found.rows(reference)
    scores = {
        each.name: with_interval(
            each.scorer, {key: rows[each.name][key] for key in ("mean", "stderr", "n")}
        )
        for each in reference.objectives
        if each.name in rows and each.name in chosen
    }
    return {
        "id": next((row["point"] for row in rows.values()), None),
        "name": reference.name,
        "path": str(reference.path),
        "scores": scores,
        "skipped": {name: why for name, why in reference.skipped.items() if name in chosen},
    }
