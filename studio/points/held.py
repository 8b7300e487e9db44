"""Which version of the points pages show: every one, or held back while a sweep brings many.

quiet          every version, at once
sweep runs     one every HOLD_SECONDS for each page that is open, and the pages draw it one after
               another; what a user asked for is shown when it is there
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterable

HOLD_SECONDS = 2.0
"""Six pages that each draw every point as it comes keep both cores of a small machine busy, Python
with the answers and the browser with the charts: answers took seconds."""

GONE_SECONDS = 5.0
"""A page that is open is looked at several times a second (ui/header.py); one that was not for so
long is closed."""

Job = tuple[str, bool]
"""Priority of a job, and whether it is over."""


class Held:
    """The version shown, and whose turn it is to draw it. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown = -1
        self._since = -math.inf
        self._answered = 0
        self._sweeping = False
        self._pages: dict[str, float] = {}
        self._waiting: list[str] = []
        self._drawn = -math.inf

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
            self._sweeping = count["sweep", False] > 0
            hold = HOLD_SECONDS * max(1, len(self._pages))
            held = self._sweeping and now - self._since < hold
            if newest or not held or answered != self._answered:
                if there != self._shown:
                    self._shown, self._since = there, now
                self._answered = answered
            return self._shown

    def here(self, page: str, now: float) -> None:
        """A page is open; said several times a second."""
        with self._lock:
            self._pages[page] = now
            for each, last in list(self._pages.items()):
                if now - last > GONE_SECONDS:
                    del self._pages[each]
            self._waiting = [each for each in self._waiting if each in self._pages]

    def level(self, page: str) -> None:
        """A page shows what is to be shown, whoever drew it again: it waits for nothing."""
        with self._lock:
            if page in self._waiting:
                self._waiting.remove(page)

    def turn(self, page: str, now: float) -> bool:
        """Whether a page whose points are of an older version draws itself again now.

        While a sweep runs one page does every HOLD_SECONDS, the one that has waited longest.
        """
        with self._lock:
            if page not in self._waiting:
                self._waiting.append(page)
            early = now - self._drawn < HOLD_SECONDS and len(self._pages) > 1
            if self._sweeping and (early or self._waiting[0] != page):
                return False
            self._waiting.remove(page)
            self._drawn = now
            return True
