"""Which version of the points pages show: where many come, not every one.

a job of this process ended    the version that is there, at once: what a user asked for
a few come                     every one, at once
many come, whoever measures    one every HOLD_SECONDS for each page that is open, and the pages draw
                               it one after another
"""

from __future__ import annotations

import math
import threading
from collections.abc import Collection

HOLD_SECONDS = 2.0
"""Six pages that each draw every point as it comes keep both cores of a small machine busy, Python
with the answers and the browser with the charts: answers took seconds."""

FEW = 4
"""Versions that all show, however fast they follow each other; then one every HOLD_SECONDS."""

GONE_SECONDS = 5.0
"""A page that is open is looked at several times a second (ui/header.py); one that was not for so
long is closed."""


class Held:
    """The version shown, and whose turn it is to draw it. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown = -1
        self._looked = -math.inf
        self._left = float(FEW)
        self._over: frozenset[str] = frozenset()
        self._pages: dict[str, float] = {}
        self._waiting: list[str] = []
        self._drawn = -math.inf

    def look(self, there: int, now: float, over: Collection[str]) -> int:
        """The version to show.

        Args:
            there: the newest version.
            now: seconds, monotonic.
            over: ids of the jobs of this process that have ended.
        """
        with self._lock:
            grown = (now - self._looked) / (HOLD_SECONDS * max(1, len(self._pages)))
            self._left, self._looked = min(FEW, self._left + grown), now
            ended = not self._over.issuperset(over)
            if there != self._shown and (self._left >= 1 or ended):
                self._shown, self._left = there, max(0.0, self._left - 1)
            self._over = frozenset(over)
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
        """Whether a page whose points are of an older version draws itself again now: of several
        pages one does every HOLD_SECONDS, the one that has waited longest."""
        with self._lock:
            if page not in self._waiting:
                self._waiting.append(page)
            early = now - self._drawn < HOLD_SECONDS and len(self._pages) > 1
            if early or self._waiting[0] != page:
                return False
            self._waiting.remove(page)
            self._drawn = now
            return True
