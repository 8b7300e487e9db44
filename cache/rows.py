"""What one row of the journal is: a flat JSON object of a known kind.

    score     one composed model on one objective: mean, standard error, per-example values
    failure   why a point could not be scored
    others    kept and given back as they are (`Store.records`)

The known fields have types, because the index stores them in columns; any other field of a row is
passed through. A number that does not exist is null: NaN and infinities are written as null.

The writer assigns `sequence`: one more than the largest it has read or written. So the newer of two
rows has the larger one, whatever the clock said; rows of earlier builds have none.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

TEXT = (
    "kind", "id", "point", "family", "objective", "objective_fingerprint", "scorer", "split",
    "numerics", "texts", "error",
)  # fmt: skip
WHOLE = ("n", "tokens", "sequence")
NUMBER = ("mean", "stderr", "low", "high", "seconds", "at")
MAPPING = ("recipe", "versions")
FIELDS = (*TEXT, *WHOLE, *NUMBER, *MAPPING, "values")

REQUIRED = {
    "score": ("point", "family", "objective", "objective_fingerprint", "split", "numerics"),
    "failure": ("point", "family", "split", "numerics", "error"),
}


def score_id(point: str, objective_fingerprint: str, split: str, numerics: str) -> str:
    """The idempotency key of a score row: 64 hex digits over what a score depends on."""
    key = "\n".join((point, objective_fingerprint, split, numerics))
    return hashlib.sha256(key.encode()).hexdigest()


def _number(name: str, value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} must be a number or null, got {value!r}")
    value = float(value)
    return value if math.isfinite(value) else None


def _field(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in TEXT:
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a string, got {value!r}")
        return str(value)
    if name in WHOLE:
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(f"{name} must be a whole number, got {value!r}")
        return int(value)
    if name in NUMBER:
        return _number(name, value)
    if name in MAPPING:
        if not isinstance(value, Mapping):
            raise ValueError(f"{name} must be a mapping, got {value!r}")
        return dict(value)
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ValueError(f"{name} must be a list of numbers, got {value!r}")
    value = list(value)
    if all(type(each) is float for each in value) and all(map(math.isfinite, value)):
        return value  # nearly always, and in a third of the time
    return [None if each is None else _number(name, each) for each in value]


def clean(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as it is stored: types checked, `id` and `at` filled in where missing.

    A `sequence` that it has from an earlier time is left out.

    Raises:
        ValueError: a field of the wrong type, or one missing that the row's kind needs.
    """
    found = {
        str(name): _field(name, value) if name in FIELDS else value
        for name, value in row.items()
        if name != "sequence"
    }
    kind = found.get("kind")
    if not kind:
        raise ValueError("a row needs a kind")
    for name in REQUIRED.get(kind, ()):
        if not found.get(name):
            raise ValueError(f"a row of kind {kind} needs {name}")
    if found.get("at") is None:
        found["at"] = time.time()
    if not found.get("id"):
        found["id"] = (
            score_id(
                *(found[name] for name in ("point", "objective_fingerprint", "split", "numerics"))
            )
            if kind == "score"
            else hashlib.sha256(encode(pack(found))).hexdigest()
        )
    return found


def pack(row: Mapping[str, Any]) -> dict[str, Any]:
    """A clean row as it is written: known fields, mappings and `extra` (the rest) as JSON text.

    A line is then flat, of types known beforehand, so that a journal is read without a Python loop.
    """
    packed = {name: row[name] for name in FIELDS if row.get(name) is not None}
    extra = {name: value for name, value in row.items() if name not in FIELDS}
    for name, value in (*((name, row.get(name)) for name in MAPPING), ("extra", extra)):
        if value:
            packed[name] = json.dumps(value, allow_nan=False)
    return packed


def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    """The row that was packed; known fields that it lacks are None."""
    row = {name: packed[name] for name in FIELDS if name in packed}
    for name in MAPPING:
        if row[name] is not None:
            row[name] = json.loads(row[name])
    return {**row, **json.loads(packed.get("extra") or "{}")}


def encode(packed: Mapping[str, Any]) -> bytes:
    """One line of JSON; a newline within a text is escaped, so a line is a row."""
    return (json.dumps(packed, allow_nan=False, separators=(",", ":")) + "\n").encode("ascii")
