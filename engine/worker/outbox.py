"""Messages waiting to be sent to the app: events are thinned over time, everything else goes at
once, in order.

    progress ── the latest of a job, ≤ 10 a second ──┐
    text     ── the latest of an output, each 30 ms ─┼──► frames due now
    all others ── at once ───────────────────────────┘

Thread safe: the engine thread puts, the socket's thread takes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from engine.worker.messages import FINAL, Event, Message, pack

PROGRESS_SECONDS = 0.1
TEXT_SECONDS = 0.03


class Outbox:
    """Messages on their way out.

    Args:
        wake: called after something was put.
    """

    def __init__(
        self, wake: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lock = threading.Lock()
        self._wake = wake
        self._clock = clock
        self._ready: list[bytes] = []
        self._thinned: dict[tuple[str, str], Event] = {}
        self._sent_at: dict[tuple[str, str], float] = {}
        self._drained = threading.Event()

    def put(self, message: Message) -> None:
        """Raises `ValueError` or `TypeError` here, on the thread at fault, where it is not JSON."""
        frame = pack(message)
        with self._lock:
            if isinstance(message, Event) and message.kind in ("progress", "text"):
                self._thin(message)
            else:
                if isinstance(message, Event) and message.kind in FINAL:
                    self._release(message.job)
                self._ready.append(frame)
            self._drained.clear()
        self._wake()

    def _thin(self, event: Event) -> None:
        key = (event.job, event.kind)
        waiting = self._thinned.get(key)
        if event.kind == "text" and waiting is not None:
            texts = {**waiting.data["texts"], **event.data["texts"]}
            event = Event("text", event.job, {"texts": texts})
        self._thinned[key] = event

    def _release(self, job: str) -> None:
        """A job's last progress and text go out before its end does."""
        for kind in ("progress", "text"):
            self._sent_at.pop((job, kind), None)
            event = self._thinned.pop((job, kind), None)
            if event is not None:
                self._ready.append(pack(event))

    def due(self) -> tuple[list[bytes], float | None]:
        """Frames to send now, and the seconds until the next thinned event is due (or None)."""
        with self._lock:
            now = self._clock()
            wait: float | None = None
            for key in list(self._thinned):
                pause = PROGRESS_SECONDS if key[1] == "progress" else TEXT_SECONDS
                left = self._sent_at.get(key, -pause) + pause - now
                if left <= 0:
                    self._sent_at[key] = now
                    self._ready.append(pack(self._thinned.pop(key)))
                else:
                    wait = left if wait is None else min(wait, left)
            ready, self._ready = self._ready, []
        return ready, wait

    def sent(self) -> None:
        """Called once the frames of the last `due` are on the wire."""
        with self._lock:
            if not self._ready:
                self._drained.set()

    def wait_until_sent(self, timeout: float) -> None:
        """Wait until all that is not thinned is on the wire, or `timeout` seconds."""
        self._drained.wait(timeout)
