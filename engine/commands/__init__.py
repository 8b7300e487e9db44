"""The commands, apart from parsing and printing.

Every command returns its JSON document; `sweep` yields one per point. Work on models goes through
an executor; `front`, `recommend` and `check` need no torch. A command's module is imported when the
command runs: `merge` needs no database, `check` no worker.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

_MODULES = {
    "merge": "merging",
    "generate": "points",
    "evaluate": "points",
    "sweep": "sweeping",
    "best": "best",
    "predict": "predicting",
    "rows": "rows",
    "references": "references",
    "front": "fronts",
    "external": "external",
    "votes": "voting",
    "judge": "voting",
    "recommend": "fronts",
    "export": "files",
    "serve": "serving",
    "check": "checking",
    "demo": "files",
}


def find_command(name: str) -> Callable[[SimpleNamespace], Any]:
    """The function of a command: arguments -> its document, or an iterator of them."""
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
