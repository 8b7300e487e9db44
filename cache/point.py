"""A point, as the store joins it from score rows; and where a user's points lie."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Point:
    """A recipe on a family with its scores.

    Attributes:
        recipe: method, coefficients, parameters; shared between calls, so not to be changed.
        scores: objective name -> {"mean", "stderr", "n", "low", "high"}, numbers or None.
        seconds: what its scores took together.
        error: why it last failed, None once a score came after the failure.
        at: unix seconds of the first row of this point.
    """

    id: str
    recipe: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, Any]]
    seconds: float | None
    error: str | None
    at: float


def default_workspace() -> Path:
    """`$PARETOSCOPE_HOME`, else `~/.paretoscope`."""
    return Path(os.environ.get("PARETOSCOPE_HOME") or "~/.paretoscope").expanduser()
