"""What a file of others says of models, before it is mapped to the objectives of a study.

lm-eval's results.json (lm_eval.py) ──┐
CSV, Parquet (tables.py) ─────────────┴─► Model … ──► mapping.py ──► External points
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import bad


@dataclass(frozen=True)
class Value:
    """A number that a file gives of one model.

    Attributes:
        where: file and place, for messages.
        mean, stderr: finite; stderr None where the file has none.
        n: examples behind it; None where the file does not say.
        higher: whether more is better, as the file says; None where it does not.
        told: whether files of this kind say which direction is better at all.
    """

    where: str
    mean: float
    stderr: float | None = None
    n: int | None = None
    higher: bool | None = None
    told: bool = False


@dataclass(frozen=True)
class Model:
    """What a file says of one model.

    Attributes:
        values: "task:metric,filter" or the name of a column -> what reads its value, or raises
            `BadInput`: what no objective asks for may be wrong.
        file: absolute.
        sha256: of the file.
        form: what wrote it, "lm-eval 0.4.13", "CSV" or "Parquet".
    """

    name: str
    values: Mapping[str, Callable[[], Value]]
    file: Path
    sha256: str
    form: str

    def named(self, asked: str) -> list[str]:
        """The keys that a text means: one by itself, "task:metric" with any filter, or "task"."""
        if asked in self.values:
            return [asked]
        return [key for key in self.values if key.startswith((f"{asked},", f"{asked}:"))]


def digest(content: bytes) -> str:
    """SHA-256 as hex digits."""
    return hashlib.sha256(content).hexdigest()


def number(value: Any, where: str, what: str) -> float:
    """A finite number; raises `BadInput` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise bad(where, f"{what} is {value!r}, not a finite number", "Correct the file.")
    return float(value)


def error(value: Any, where: str) -> float | None:
    """A standard error, None where there is none; raises `BadInput` for a wrong one."""
    if value is None:
        return None
    found = number(value, where, "its standard error")
    if found < 0:
        raise bad(where, f"its standard error is {found:g}, below 0", "Correct the file.")
    return found


def count(value: Any, where: str) -> int | None:
    """A number of examples, None where there is none; raises `BadInput` for a wrong one."""
    if value is None:
        return None
    found = number(value, where, "its number of examples")
    if found < 1 or found != int(found):
        what = f"its number of examples is {found:g}"
        raise bad(where, what, "It must be a whole number, 1 or more.")
    return int(found)
