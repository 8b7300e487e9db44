"""Past exports as a table: whether they still exist and whether they were verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.export.card import MANIFEST
from engine.recipe import Recipe, recipe_from_dict
from studio.export.exports import listing
from studio.points.recipes import titled_as
from studio.task import Task

HISTORY_SHOWN = 100

FORMS = {
    "merged": "checkpoint",
    "copy": "copy of a model",
    "adapter": "LoRA adapter",
    "decoding": "decoding folder",
}


def written(record: Mapping[str, Any]) -> str:
    """The files of an export that are there, as lines."""
    out = Path(str(record["out"]))
    found = [(name, out / name) for name in record.get("files") or ()]
    return listing((name, path.stat().st_size, False) for name, path in found if path.is_file())


def is_there(record: Mapping[str, Any]) -> bool:
    """Whether the export lies where it was written: its manifest names the same point."""
    file = Path(str(record["out"])) / MANIFEST
    try:
        return f'"{record.get("point")}"' in file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def verified_text(record: Mapping[str, Any]) -> str:
    """Whether an export was checked, in words."""
    if not record.get("verified"):
        return "not verified"
    difference = record.get("max_logit_difference")
    if difference is None:
        return "Verified."
    return f"Verified: largest logit difference {difference:.3g}."


def history(records: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of the table of exports, newest first; dates and sizes are dates and numbers.

    Args:
        names: point -> the name that a user gave it.
    """
    return [
        {
            "when": datetime.fromtimestamp(float(each["at"])),
            "study": str(each.get("study", "")),
            "model": _model(each, names),
            "as": FORMS.get(str(each.get("form")), ""),
            "MB": int(each.get("bytes") or 0) / 1e6,
            "checked": "yes" if each.get("verified") else "no",
            "where": str(each["out"]) if is_there(each) else f"no longer there: {each['out']}",
        }
        for each in records[::-1][:HISTORY_SHOWN]
    ]


def model_text(record: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Which model an export holds, in one line."""
    return f"{_model(record, names)} · point {record.get('point')}"


def _model(record: Mapping[str, Any], names: Mapping[str, str]) -> str:
    recipe = recipe_from_dict(record.get("recipe") or {})
    return titled_as(names.get(str(record.get("point")), ""), recipe)


def is_of(task: Task, recipe: Recipe) -> bool:
    """Whether a job that exports wrote, or writes, this recipe."""
    return bool(task.handle.job.payload["recipe"] == recipe.as_dict())
