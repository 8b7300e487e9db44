"""Why a button waits, in words."""

from __future__ import annotations

from typing import cast

from studio.workbench import Workbench, WorkerState
from studio.worker_words import waiting_words


class Bench:
    def __init__(self, state: WorkerState, opened: object) -> None:
        self.state, self.opened = state, opened

    def worker(self) -> WorkerState:
        return self.state


def words(name: str, opened: object = None) -> str:
    return waiting_words(cast(Workbench, Bench(WorkerState(name), opened)), "Export")  # type: ignore[arg-type]


def test_what_has_to_happen_first_is_said() -> None:
    assert words("starting") == "Export is possible once the worker has opened the study."
    assert "press Restart worker" in words("failed") and "press Restart" in words(
        "failed", object()
    )
    assert words("ready", object()) == words("busy", object()) == ""
