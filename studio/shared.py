"""Work on the same points that several browser sessions need, done once.

Sessions run in threads of one process. When a point arrives all of them draw again, from the same
`Measured`: the first one computes, and the others wait without holding the interpreter.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

KEPT = 32
"""Results kept for one owner; the least recently used goes first."""


class Shelf:
    """What was worked out for one owner: key -> result, each made once. Thread safe."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}
        self._found: OrderedDict[Hashable, Any] = OrderedDict()

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The result under a key. What `make` raises is raised, and asked again next time."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._found:
                    return self._found[key]
            try:
                found = make()
                with self._lock:
                    self._found[key] = found
                    while len(self._found) > self._kept:
                        self._found.popitem(last=False)
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return found


def once(owner: object, key: Hashable, make: Callable[[], Any]) -> Any:
    """`Shelf.once` on the owner's own shelf, which lives as long as the owner does.

    Args:
        owner: an object with a `__dict__`; a frozen dataclass will do.
    """
    shelf: Shelf = vars(owner).setdefault("_shelf", Shelf())
    return shelf.once(key, make)
