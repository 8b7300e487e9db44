"""The engine's end of a connection: one thread talks, the thread that calls `Server.run` computes.

Used by the worker process and, over a pair of sockets within one process, by the in-line executor;
so both behave alike.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from engine.jobs.scheduler import Exhausted, Scheduler
from engine.jobs.served import Service
from engine.worker.messages import (
    Cancel,
    Heartbeat,
    Message,
    Refused,
    Reply,
    Restart,
    Stop,
    Submit,
    failure_of,
)
from engine.worker.talking import Talker

log = logging.getLogger(__name__)

START_SECONDS = 0.1  # how long a job waits for its start to be on the wire


def make_service(
    place: str, workspace: Path, device: str = "auto", compute_dtype: str | None = None
) -> Service:
    """The service at import path `module:name`, called with workspace, device and compute dtype."""
    module, _, name = place.partition(":")
    service: Service = getattr(importlib.import_module(module), name)(
        workspace, device, compute_dtype
    )
    return service


class Server:
    """Runs jobs for the other end of the connection.

    Args:
        gone: called once nobody is there any more, beside ending what runs.
    """

    def __init__(self, connection: Connection, gone: Callable[[], None] = lambda: None) -> None:
        def left() -> None:
            gone()
            self._scheduler.stop()

        self._talker = Talker(connection, self._take, self._heartbeat, left)
        outbox = self._talker.outbox
        self._scheduler = Scheduler(outbox.put, partial(outbox.wait_until_sent, START_SECONDS))

    def run(self, make: Callable[[], Service]) -> None:
        """Serve until told to stop, until the other end is gone, or until memory runs out.

        The connection's thread starts first, so that the other end sees life while torch is
        imported.
        """
        self._talker.start()
        try:
            self._run(make)
        finally:
            self._talker.end()

    def _run(self, make: Callable[[], Service]) -> None:
        try:
            service = make()
        except Exception as error:
            log.error("the service cannot start", exc_info=error)
            self._talker.outbox.put(Refused(failure_of(error)))
            return
        try:
            self._scheduler.run(service)
        except Exhausted:
            self._talker.outbox.put(Restart())

    def _heartbeat(self) -> Heartbeat:
        scheduler = self._scheduler
        return Heartbeat(scheduler.ticks, scheduler.state, scheduler.current)

    def _take(self, message: Message) -> None:
        match message:
            case Submit(job):
                self._scheduler.submit(job)
            case Cancel(job_id):
                self._scheduler.cancel(job_id)
            case Reply(question, answer):
                self._scheduler.questions.answer(question, answer)
            case Stop():
                self._scheduler.stop()
            case other:
                log.warning("ignored a message that is not for a worker: %r", other)
