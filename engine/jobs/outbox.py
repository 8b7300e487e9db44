"""What waits to be sent to the app: events thinned out in time, and the ones that must arrive kept
until they have.

    progress ── the latest of a job, ≤ 10 a second ──┐
    text     ── the latest of an output, each 30 ms ─┼──► frames due now
    started, result, done, failed ── at once, numbered, held until acknowledged, sent again after a
    reconnect

Thread safe: the engine thread puts, the socket's thread takes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from engine.jobs.protocol import (
    FINAL,
    HELD,
    PROGRESS_SECONDS,
    TEXT_SECONDS,
    Event,
    pack,
    pack_event,
)


class Outbox:
    """Events on their way out.

    Args:
        wake: called after an event that need not wait was put.
    """

    def __init__(
        self, wake: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lock = threading.Lock()
        self._wake = wake
        self._clock = clock
        self._numbers = 0
        self._ready: deque[tuple[bytes, int | None]] = deque()
        self._held: dict[int, bytes] = {}
        self._thinned: dict[tuple[str, str], Event] = {}
        self._sent_at: dict[tuple[str, str], float] = {}
        self._drained = threading.Event()

    def put(self, event: Event) -> None:
        """Raises `ValueError` or `TypeError` here, on the thread at fault, where the data is not
        JSON."""
        frame = pack_event(event)
        with self._lock:
            if event.kind in ("progress", "text"):
                self._thin(event)
            elif event.kind in HELD:
                if event.kind in FINAL:
                    self._release(event.job)
                self._numbers += 1
                self._held[self._numbers] = pack_event(event, self._numbers)
                self._ready.append((self._held[self._numbers], self._numbers))
            else:
                self._ready.append((frame, None))
            self._drained.clear()
        self._wake()

    def say(self, header: dict[str, Any]) -> None:
        """A message that concerns no job."""
        with self._lock:
            self._ready.append((pack(header), None))
        self._wake()

    def _thin(self, event: Event) -> None:
        key = (event.job, event.kind)
        waiting = self._thinned.get(key)
        if event.kind == "text" and waiting is not None:
            event = Event(
                "text", event.job, {"texts": {**waiting.data["texts"], **event.data["texts"]}}
            )
        self._thinned[key] = event

    def _release(self, job: str) -> None:
        """A job's last progress and text go out before its end does."""
        for kind in ("progress", "text"):
            self._sent_at.pop((job, kind), None)
            event = self._thinned.pop((job, kind), None)
            if event is not None:
                self._ready.append((pack_event(event), None))

    def due(self) -> tuple[list[bytes], float | None]:
        """Frames to send now, and the seconds until the next thinned event is due (None: nothing
        waits)."""
        with self._lock:
            now = self._clock()
            wait: float | None = None
            for key in list(self._thinned):
                pause = PROGRESS_SECONDS if key[1] == "progress" else TEXT_SECONDS
                left = self._sent_at.get(key, -pause) + pause - now
                if left <= 0:
                    self._sent_at[key] = now
                    self._ready.append((pack_event(self._thinned.pop(key)), None))
                else:
                    wait = left if wait is None else min(wait, left)
            ready, self._ready = self._ready, deque()
        return [frame for frame, _ in ready], wait

    def sent(self) -> None:
        """Called once the frames of the last `due` are on the wire."""
        with self._lock:
            if not self._ready:
                self._drained.set()

    def wait_until_sent(self, timeout: float) -> None:
        """Wait until all that is not thinned is on the wire, or `timeout` seconds."""
        self._drained.wait(timeout)

    def acknowledge(self, numbers: Iterable[int]) -> None:
        with self._lock:
            for number in numbers:
                self._held.pop(number, None)

    def resend(self) -> None:
        """After a new connection: everything unacknowledged goes again, in its first order."""
        with self._lock:
            others = [(frame, number) for frame, number in self._ready if number is None]
            self._ready = deque(
                [*others, *((frame, number) for number, frame in self._held.items())]
            )

    @property
    def held(self) -> int:
        """How many events wait for their acknowledgement."""
        with self._lock:
            return len(self._held)
