"""The app's end of a connection, shared by all executors that have one.

    submit, cancel ──► sender thread ──►  engine
    Handle ◄── reader thread ◄── frames ──┘
                  ├─► rows ──► on_rows (fsync)
                  └─► claim ─► the workspace's claims ──► reply

The reader thread also starts the engine at the first job, notices that it died or hangs, fails the
one job that had the device, and starts it again with the jobs that are left: those queued, and a
parked sweep from what is saved.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue

from cache.claims import Claims
from engine.errors import JobFailed, bad
from engine.jobs.executor import Handle, OnRows
from engine.jobs.inbox import Inbox
from engine.jobs.ledger import CANCELLED, Ledger
from engine.jobs.record import Ending, Record, died
from engine.jobs.saving import Saving
from engine.worker.messages import (
    Cancel,
    Event,
    Heartbeat,
    Job,
    Message,
    Refused,
    Restart,
    Stop,
    Submit,
    pack,
    unpack,
)
from engine.worker.process import receive, send
from engine.worker.pulse import Pulse

log = logging.getLogger(__name__)

STARTS = 2  # failed starts in a row before the jobs that wait are failed


class ConnectedExecutor(ABC):
    """An executor over a connection; a subclass starts and ends the engine and detects its death.

    Args:
        on_rows: saves rows; a row's event is given only after it returned.
        claims: what other processes of the workspace measure; None if there are no others.
        hang_seconds: the longest time between two quanta of a running job.
        load_seconds: the longest time without one while models load.
    """

    def __init__(
        self,
        on_rows: OnRows | None,
        claims: Claims | None,
        hang_seconds: float,
        load_seconds: float,
    ) -> None:
        self._saving = Saving(on_rows, claims)
        self._pulse = Pulse(hang_seconds, load_seconds)
        self._lock = threading.Condition(threading.RLock())
        self._jobs = Ledger(self._lock, self._saving.over)
        self._inbox = Inbox(self._jobs, self._saving, self._put, self._cancel)
        self._outgoing: SimpleQueue[bytes | None] | None = None
        self._thread: threading.Thread | None = None
        self._wanted = False
        self._closed = False
        self._starts = 0
        self._leaving: Ending | None = None
        self._ended = ""

    @abstractmethod
    def _connect(self) -> Connection:
        """Start an engine; raises `JobFailed`."""

    @abstractmethod
    def _ending(self) -> Ending:
        """After the connection has ended: why; nothing of the engine is left then."""

    @abstractmethod
    def _kill(self) -> None:
        """End the engine now."""

    def submit(self, job: Job) -> Handle:
        try:
            message = pack(Submit(job))
        except (TypeError, ValueError) as error:
            what = f"its payload cannot be sent ({error})"
            raise bad("job", what, "Use finite numbers.") from None
        handle = Handle(job, self._cancel)
        with self._lock:
            if self._closed:
                raise JobFailed("the executor is closed")
            self._jobs.add(Record(job, handle))
            self._wanted = True
            if self._pulse.state == "idle":
                self._pulse.moved()
            if self._outgoing is not None:
                self._outgoing.put(message)
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="executor", daemon=True)
                self._thread.start()
            self._lock.notify_all()
        return handle

    def state(self) -> str:
        return self._pulse.state

    def ended(self) -> str:
        return self._ended

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._outgoing is not None:
                self._outgoing.put(pack(Stop()))
            self._lock.notify_all()
        if self._thread is not None:
            self._thread.join(3.0)
        self._kill()
        if self._thread is not None:
            self._thread.join(3.0)
        self._jobs.fail_all({"failure": "cancelled", "reason": "the executor was closed"})
        self._pulse.change("stopped")

    def __enter__(self) -> ConnectedExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cancel(self, job_id: str) -> None:
        with self._lock:
            record = self._jobs.get(job_id)
            if record is None:
                return
            record.cancelled = True  # an engine that dies with the message must not run it again
            if self._outgoing is not None:
                self._outgoing.put(pack(Cancel(job_id)))
                return
        self._jobs.fail(job_id, CANCELLED)

    def _main(self) -> None:
        while self._await_work():
            try:
                connection = self._connect()
            except JobFailed as error:
                self._settle(died(str(error)))
                continue
            self._serve(connection)
            self._settle(self._ending())

    def _await_work(self) -> bool:
        with self._lock:
            self._lock.wait_for(lambda: self._wanted or self._closed)
            if not self._closed and self._pulse.state == "stopped":
                self._pulse.change("starting")
            return not self._closed

    def _serve(self, connection: Connection) -> None:
        """Talk until the connection ends, or the engine hangs and is killed."""
        outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        with self._lock:
            for record in self._jobs.all():
                outgoing.put(pack(Submit(record.to_submit())))
            if self._closed:
                outgoing.put(pack(Stop()))
            self._outgoing = outgoing
        sender = threading.Thread(target=send, args=(connection, outgoing), daemon=True)
        sender.start()
        try:
            while (frames := receive(connection)) is not None:
                self._read(frames)
                self._saving.renew()
                if not frames and self._jobs.all() and self._pulse.stopped:
                    reason = f"the worker hung: no progress for {self._pulse.limit:g} s"
                    self._leaving = Ending({"failure": "hung", "reason": reason})
                    self._kill()
                    break
        except (ValueError, KeyError, TypeError) as error:
            log.error("the engine sent an unreadable message", exc_info=error)
            self._leaving = died(f"the worker sent an unreadable message ({error})")
            self._kill()
        finally:
            with self._lock:
                self._outgoing = None
            outgoing.put(None)
            sender.join(5.0)
            connection.close()

    def _read(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            match unpack(frame):
                case Event() as event:
                    self._pulse.moved()
                    if event.kind == "started":
                        self._starts = 0
                    self._inbox.take(event)
                case Heartbeat() as beat:
                    self._pulse.heard(beat)
                    if beat.state == "idle":
                        self._starts = 0
                case Restart():
                    self._leaving = Ending({}, blame=False)
                case Refused(data):
                    self._leaving = Ending(data, blame=False, refused=True)
        self._inbox.save()

    def _put(self, message: Message) -> None:
        """Send a message, where there is a connection."""
        with self._lock:
            if self._outgoing is not None:
                self._outgoing.put(pack(message))

    def _settle(self, ending: Ending) -> None:
        """The engine is gone: fail the job at fault and keep the others for the next engine."""
        with self._lock:
            if self._leaving is not None:
                ending, self._leaving = self._leaving, None
            top = self._jobs.top
            at_fault = top if ending.blame and not self._closed else None
            if top is None and ending.blame:
                self._starts += 1
            give_up = ending.refused or self._starts >= STARTS
            self._ended = str(ending.data.get("reason") or self._ended)
            self._pulse.change("stopped")
            self._wanted = not give_up
            self._jobs.queue_again()
        self._saving.gone()
        if at_fault is not None:
            log.warning("job %s failed: %s", at_fault, ending.data["reason"])
            self._jobs.fail(at_fault, ending.data)
        for record in self._jobs.all():
            if record.cancelled:
                self._jobs.fail(record.job.id, CANCELLED)
        if give_up:
            self._starts = 0
            self._jobs.fail_all(ending.data)
