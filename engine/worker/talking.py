"""The worker's end of a connection: one thread sends the outbox and receives messages.

It starts before anything heavy is imported, so the other end sees life at once, and it alone
touches the connection, so whoever computes never waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

from engine.worker.messages import Heartbeat, Message, pack, unpack
from engine.worker.outbox import Outbox

HEARTBEAT_SECONDS = 0.25
FAREWELL_SECONDS = 5.0  # how long a worker that ends waits until its last words are on the wire


class Talker:
    """Talks until it is told to end, or the other end has gone.

    Args:
        take: called with each message.
        heartbeat: what to say of oneself, four times a second.
        gone: called once nobody listens any more.

    Attributes:
        outbox: what is put there is sent.
    """

    def __init__(
        self,
        connection: Connection,
        take: Callable[[Message], None],
        heartbeat: Callable[[], Heartbeat],
        gone: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._take = take
        self._heartbeat = heartbeat
        self._gone = gone
        self._awake, self._waker = Pipe(duplex=False)
        self._waking = threading.Lock()
        self._ended = threading.Event()
        self.outbox = Outbox(self._wake)
        self._thread = threading.Thread(target=self._talk, name="connection", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Send what is left, waiting a few seconds if nobody reads, and close the connection."""
        self._ended.set()
        self._wake()
        self._thread.join(FAREWELL_SECONDS)

    def _wake(self) -> None:
        """Wake the thread to check the outbox; one pending byte is enough."""
        with self._waking:
            if not self._awake.poll():
                self._waker.send_bytes(b".")

    def _talk(self) -> None:
        try:
            with self._connection, suppress(EOFError, OSError):
                self._serve()
        finally:
            if not self._ended.is_set():
                self._gone()

    def _serve(self) -> None:
        beat_at = 0.0
        while True:
            frames, pause = self.outbox.due()
            for frame in frames:
                self._connection.send_bytes(frame)
            self.outbox.sent()
            if self._ended.is_set() and not frames:
                return
            now = time.monotonic()
            if now >= beat_at:
                self._connection.send_bytes(pack(self._heartbeat()))
                beat_at = now + HEARTBEAT_SECONDS
            timeout = min(beat_at - now, HEARTBEAT_SECONDS if pause is None else pause)
            for ready in wait([self._connection, self._awake], timeout):
                if ready is self._awake:
                    with self._waking:
                        self._awake.recv_bytes()
                else:
                    self._take(unpack(self._connection.recv_bytes()))
