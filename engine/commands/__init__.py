"""What the commands do, apart from parsing and printing.

Every command returns its JSON document; `sweep` yields one a point. What runs on models goes
through an executor; `front`, `recommend` and `check` need no torch.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from engine.commands.files import demo, export, merge
from engine.commands.fronts import check, front, recommend
from engine.commands.points import evaluate, generate, sweep

COMMANDS: dict[str, Callable[[Namespace], Any]] = {
    "merge": merge,
    "generate": generate,
    "evaluate": evaluate,
    "sweep": sweep,
    "front": front,
    "recommend": recommend,
    "export": export,
    "check": check,
    "demo": demo,
}
