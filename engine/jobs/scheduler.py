"""Which job runs now: interactive ones first, a sweep parked at a quantum for them, and never
starved by them.

    idle ──► interactive job ──► …
         └─► sweep ── tick ── tick ──┐ an interactive job waits, and the sweep has had its share
                                     └─► park · run it here, nested · put back ──► tick …

The engine thread calls `run` and, through the service, the ticks; the socket's thread calls
`submit` and `cancel`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import Cancelled, ParetoscopeError, is_panic
from engine.jobs.asking import Questions, Reporter
from engine.jobs.served import Service
from engine.worker.messages import Event, Job, State, failure_of, is_out_of_memory

log = logging.getLogger(__name__)

QUIET_SECONDS = 0.3
"""How long nothing is asked before a service rests."""


class Exhausted(BaseException):
    """A job ran out of memory: unwinds any parked sweep too; only a restart frees everything."""


@dataclass
class Share:
    """The sweep's share of the time: a second of it buys `ratio` seconds of interactive work.

    With ratio 4 a sweep keeps at least 20 % of any long stretch. `limit` seconds of credit are kept
    at most, so that a slider answers at once after a quiet time and a held slider cannot stop a
    sweep for long.
    """

    ratio: float = 4.0
    limit: float = 1.0
    credit: float = 1.0

    def spend(self, seconds: float, *, sweep: bool) -> None:
        self.credit = min(self.limit, self.credit + (self.ratio if sweep else -1.0) * seconds)

    @property
    def allows_interactive(self) -> bool:
        return self.credit > 0


@dataclass
class _Running:
    job: Job
    cancelled: bool = False


class Scheduler:
    """Runs jobs one at a time on the thread that calls `run`.

    Args:
        emit: takes every event; called from both threads.
        announce: returns once a job's start is on the wire: a job that takes the process down
            at once must not have its end blamed on the sweep that it parked.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        announce: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        share: Share | None = None,
    ) -> None:
        self._emit = emit
        self._announce = announce
        self._clock = clock
        self.share = share or Share()
        self._changed = threading.Condition()
        self._interactive: list[Job] = []
        self._sweeps: deque[Job] = deque()
        self._running: list[_Running] = []
        self._stopped = False
        self._service: Service | None = None
        self._thread = 0
        self._parking = False
        self._rested = False
        self._mark = clock()
        self.questions = Questions(emit)
        self.ticks = 0
        self.state: State = "loading"

    def submit(self, job: Job) -> None:
        """Queue a job; one that waits for the same browser session is superseded."""
        with self._changed:
            superseded = None
            if job.priority == "sweep":
                self._sweeps.append(job)
            else:
                place = [
                    index
                    for index, each in enumerate(self._interactive)
                    if job.session is not None and each.session == job.session
                ]
                if place:
                    superseded = self._interactive[place[0]]
                    self._interactive[place[0]] = job
                else:
                    self._interactive.append(job)
            self._changed.notify()
        self._emit(Event("accepted", job.id))
        if superseded is not None:
            self._fail(superseded, Cancelled("replaced by a newer request of the same session"))

    def cancel(self, job_id: str) -> None:
        """Stop a job: immediately if it waits, at its next quantum if it runs."""
        with self._changed:
            for running in self._running:
                if running.job.id == job_id:
                    running.cancelled = True
            waiting = [job for job in (*self._interactive, *self._sweeps) if job.id == job_id]
            for job in waiting:
                (self._sweeps if job.priority == "sweep" else self._interactive).remove(job)
        for job in waiting:
            self._fail(job, Cancelled("cancelled"))

    def stop(self) -> None:
        """Cancel everything and let `run` return."""
        with self._changed:
            self._stopped = True
            for running in self._running:
                running.cancelled = True
            self._changed.notify()

    @property
    def current(self) -> str | None:
        """Id of the job that has the device now."""
        running = self._running
        return running[-1].job.id if running else None

    def run(self, service: Service) -> None:
        """Take jobs until stopped; closes the service.

        Raises:
            Exhausted: a job ran out of memory (its failure has been reported); jobs that had not
                ended are not reported and have to be submitted again to a fresh scheduler.
        """
        self._thread = threading.get_ident()
        self._service = service
        try:
            while True:
                self.state = "idle"
                job = self._await_job(service)
                if job is None:
                    return
                self._execute(job)
        finally:
            self._service.close()

    def _await_job(self, service: Service) -> Job | None:
        """The next job; None once stopped."""
        while not self._stopped:
            with self._changed:
                waiting = self._changed.wait_for(
                    lambda: self._stopped or self._interactive or self._sweeps,
                    None if self._rested else QUIET_SECONDS,
                )
                job = None if self._stopped else self._next()
            if job is not None:
                return job
            if not waiting:
                self._rested = True
                service.rest()
        return None

    def _next(self) -> Job | None:
        if self._interactive and (not self._sweeps or self.share.allows_interactive):
            return self._interactive.pop(0)
        return self._sweeps.popleft() if self._sweeps else None

    def _execute(self, job: Job) -> None:
        running = _Running(job)
        self._account()
        with self._changed:
            self._running = [*self._running, running]
        self.state = "loading"
        self._emit(Event("started", job.id))
        self._announce()
        failure: BaseException | None = None
        assert self._service is not None
        try:
            reporter = Reporter(job, self._emit, self._loading, self.questions)
            data = self._service.run(job, reporter, lambda: self._tick(running))
            self._emit(Event("done", job.id, data))
        except BaseException as error:
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            failure = error
        finally:
            self._account()
            with self._changed:
                self._running = self._running[:-1]
        if failure is not None:
            self._fail(job, failure)
            if is_out_of_memory(failure):
                raise Exhausted(job.id)

    def _loading(self) -> None:
        self.state = "loading"

    def _fail(self, job: Job, error: BaseException) -> None:
        data = failure_of(error)
        if data["failure"] == "error" and not isinstance(error, ParetoscopeError):
            log.error("job %s (%s) failed", job.id, job.kind, exc_info=error)
        self._emit(Event("failed", job.id, data))

    def _tick(self, running: _Running) -> None:
        self.ticks += 1
        self.state = "running"
        if running.cancelled:
            raise Cancelled("cancelled")
        if running.job.priority != "sweep" or not self._interactive:
            return
        if self._parking or threading.get_ident() != self._thread:
            return
        self._account()
        if self.share.allows_interactive:
            self._make_way()
            if running.cancelled:
                raise Cancelled("cancelled")
            self.state = "running"

    def _make_way(self) -> None:
        """Run the waiting interactive jobs inside the sweep's tick, then restore its model."""
        assert self._service is not None
        put_back = self._service.park()
        while self.share.allows_interactive and not self._stopped:
            with self._changed:
                if not self._interactive:
                    break
                job = self._interactive.pop(0)
            self._execute(job)
        self.state = "loading"
        self._parking = True  # putting back ticks too, and must not make way again
        try:
            put_back()
        finally:
            self._parking = False

    def _account(self) -> None:
        """Book the time since the last call to whoever had the device; only while a sweep is there
        to be delayed."""
        now = self._clock()
        spent, self._mark = now - self._mark, now
        if not self._running:
            return
        top = self._running[-1].job.priority
        if top == "sweep":
            self.share.spend(spent, sweep=True)
        elif self._sweeps or len(self._running) > 1:
            self.share.spend(spent, sweep=False)
