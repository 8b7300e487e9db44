"""Large files are checked in the background once the workspace is open: nobody waits for it.

Small ones are checked before any query is answered (`cache.follow`), and what is read is checked as
it is read. In long-lived processes this finds damage that happened after reading.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

FIRST, BETWEEN = 5.0, 0.1


class Checking:
    """A thread that checks files one by one, beginning some seconds after it was made.

    Args:
        check: looks at files and sets aside or repairs what is damaged.
        files: journals and segments with their sizes in bytes.
    """

    def __init__(
        self,
        check: Callable[[Iterable[tuple[Path, int]]], None],
        files: Sequence[tuple[Path, int]],
        first: float | None = None,
    ) -> None:
        self._ended = threading.Event()
        self._check, self._files = check, files
        self._first = FIRST if first is None else first
        self._thread: threading.Thread | None = None
        if files:
            self._thread = threading.Thread(target=self._run, name="checking", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End after the file that is being looked at."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        wait = self._first
        for each in self._files:
            if self._ended.wait(wait):
                return
            self._check([each])
            wait = BETWEEN
