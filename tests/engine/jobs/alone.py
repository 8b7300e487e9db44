"""`engine.jobs.served.Emit` for a service that is called directly: nobody else measures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from engine.worker.messages import Answer


class Alone:
    """Hands events to a function, and grants everything.

    Args:
        take: called with kind and data.
    """

    asked = 0

    def __init__(self, take: Callable[..., None] = lambda *_: None) -> None:
        self._take = take

    def __call__(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        self._take(kind, data)

    def claim(self, wanted: Sequence[Collection[str]], tick: Callable[[], None]) -> Answer:
        return Answer(granted=frozenset(wanted[0]))
