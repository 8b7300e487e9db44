"""Which version of the points pages show: each as it comes, or held while a sweep brings many.

quiet          every version, at once
sweep runs     one every HOLD_SECONDS; what a person asked for is shown when it is there
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterable

HOLD_SECONDS = 2.0
"""Six pages that each draw every point as it comes keep a core busy: answers took seconds."""

Job = tuple[str, bool]
"""Priority of a job, and whether it is over."""


class Held:
    """The version shown. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown = -1
        self._since = -math.inf
        self._answered = 0

    def look(self, there: int, now: float, jobs: Iterable[Job], *, newest: bool = False) -> int:
        """The version to show.

        Args:
            there: the newest version.
            now: seconds, monotonic.
            jobs: those of this process.
            newest: take it, whatever runs.
        """
        count = Counter(jobs)
        answered = count["interactive", True]
        with self._lock:
            held = count["sweep", False] > 0 and now - self._since < HOLD_SECONDS
            if newest or not held or answered != self._answered:
                if there != self._shown:
                    self._shown, self._since = there, now
                self._answered = answered
            return self._shown
