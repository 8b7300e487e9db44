"""The engine's end of a connection: one thread talks, the thread that calls `Server.run` computes.

Used by the worker process and, over an in-memory pipe, by the in-line executor; so both behave
alike.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import AuthenticationError, Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from engine.jobs.outbox import Outbox
from engine.jobs.protocol import (
    HEARTBEAT_SECONDS,
    Job,
    Service,
    answer_of,
    failure_of,
    pack,
    unpack,
)
from engine.jobs.scheduler import Exhausted, Scheduler

log = logging.getLogger(__name__)

START_SECONDS = 0.1  # how long a job waits for its start to be on the wire
FAREWELL_SECONDS = 5.0  # how long a server that has to end waits for its last acknowledgements


def make_service(
    place: str, workspace: Path, device: str = "auto", compute_dtype: str | None = None
) -> Service:
    """The service at an import path `module:name`, which is called with workspace, device and
    compute dtype."""
    module, _, name = place.partition(":")
    service: Service = getattr(importlib.import_module(module), name)(
        workspace, device, compute_dtype
    )
    return service


class Server:
    """Runs jobs for whoever is at the other end.

    Args:
        accept: the next connection; raises `EOFError` when there will be none, which ends the
            server.
    """

    def __init__(self, accept: Callable[[], Connection]) -> None:
        self._accept = accept
        self._awake, self._waker = Pipe(duplex=False)
        self._waking = threading.Lock()
        self._outbox = Outbox(self._wake)
        self._scheduler = Scheduler(
            self._outbox.put, partial(self._outbox.wait_until_sent, START_SECONDS)
        )
        self._ended = threading.Event()

    def run(self, make: Callable[[], Service]) -> None:
        """Serve until told to stop, until nobody connects any more, or until memory has run out.

        The connection's thread starts first, so that the other end sees life while torch is
        imported.
        """
        talker = threading.Thread(target=self._talk, name="connection", daemon=True)
        talker.start()
        try:
            self._run(make, talker)
        finally:
            self._ended.set()
            self._wake()
            talker.join(FAREWELL_SECONDS)

    def _run(self, make: Callable[[], Service], talker: threading.Thread) -> None:
        try:
            service = make()
        except Exception as error:
            log.error("the service cannot start", exc_info=error)
            self._outbox.say({"op": "refused", "data": failure_of(error)})
            return
        try:
            self._scheduler.run(service)
        except Exhausted:
            self._outbox.say({"op": "restart"})
            self._await_acknowledgements(talker)

    def _await_acknowledgements(self, talker: threading.Thread) -> None:
        limit = time.monotonic() + FAREWELL_SECONDS
        while self._outbox.held and talker.is_alive() and time.monotonic() < limit:
            time.sleep(0.01)

    def _wake(self) -> None:
        """Let the talking thread look at the outbox; one waiting byte is enough, and the pipe never
        fills."""
        with self._waking:
            if not self._awake.poll():
                self._waker.send_bytes(b".")

    def _talk(self) -> None:
        try:
            while not self._ended.is_set():
                try:
                    connection = self._accept()
                except AuthenticationError:
                    log.warning("a connection without the key was refused")
                    continue
                except (EOFError, OSError):
                    return
                self._outbox.resend()
                try:
                    with connection:
                        self._serve(connection)
                except (EOFError, OSError):
                    log.info("the connection ended")
        finally:
            self._scheduler.stop()

    def _serve(self, connection: Connection) -> None:
        beat_at = 0.0
        while True:
            frames, pause = self._outbox.due()
            for frame in frames:
                connection.send_bytes(frame)
            self._outbox.sent()
            if self._ended.is_set() and not frames:
                return
            now = time.monotonic()
            if now >= beat_at:
                connection.send_bytes(pack(self._heartbeat()))
                beat_at = now + HEARTBEAT_SECONDS
            timeout = min(beat_at - now, HEARTBEAT_SECONDS if pause is None else pause)
            for ready in wait([connection, self._awake], timeout):
                if ready is self._awake:
                    with self._waking:
                        self._awake.recv_bytes()
                else:
                    self._take(*unpack(connection.recv_bytes()))

    def _heartbeat(self) -> dict[str, Any]:
        scheduler = self._scheduler
        return {
            "op": "heartbeat",
            "ticks": scheduler.ticks,
            "state": scheduler.state,
            "job": scheduler.current,
        }

    def _take(self, header: dict[str, Any], _: bytes) -> None:
        match header["op"]:
            case "submit":
                self._scheduler.submit(Job(**header["job"]))
            case "cancel":
                self._scheduler.cancel(header["job"])
            case "ack":
                self._outbox.acknowledge(header["numbers"])
            case "answer":
                self._outbox.acknowledge([header["number"]])
                self._scheduler.questions.answer(header["question"], answer_of(header))
            case "stop":
                self._scheduler.stop()
            case other:
                log.warning("a message of an unknown kind was ignored: %r", other)
