"""Stale values that a browser may still send after the server has changed a widget's value.

    server: row 3 ──► browser          on its way
    browser: row 7, sent with a timer ──► server      late, and no choice of a user's

A browser sends all that its widgets show with each message. Until it has drawn what it was told
it says the old, which would be taken for a choice. What it says is in order: once it has said
something new, nothing that it showed before is late any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LATE_SECONDS = 3.0
"""The longest time for which an old value may still be said."""


@dataclass
class Told:
    """The values that were replaced, the oldest first, each with when, in seconds."""

    replaced: list[tuple[Any, float]] = field(default_factory=list)

    def replace(self, value: Any, now: float) -> None:
        """The browser is sent another value in place of this one."""
        self.replaced.append((value, now))

    def is_late(self, said: Any, now: float) -> bool:
        """Whether a value that the browser says is one that was replaced; else it was chosen, and
        what came before it is forgotten."""
        self.replaced = [each for each in self.replaced if now - each[1] < LATE_SECONDS]
        places = [place for place, (value, _) in enumerate(self.replaced) if value == said]
        self.replaced = self.replaced[places[-1] :] if places else []
        return bool(places)
