"""Sweeps of a study: a queue, measured one after another in the worker, written to the journal.

    enqueue ──► waiting ──► running ──► done | failed | cancelled
                   ▲           └─ its process ends: unfinished
                   └── resume ◄──────────────────┘  only what is missing is measured

A sweep belongs to the workspace, not to a browser tab or a shell: the queue is kept once for each
executor and study, knows what other processes sweep (`elsewhere`), and a thread moves it on when no
page looks. Whether a point is there is asked of the points themselves, never of the queue, so
nothing is measured twice, whoever measured it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from cache.living import Living
from engine.errors import ParetoscopeError
from engine.jobs.executor import Executor
from engine.recipe import Recipe
from studio.sweeps.pace import Pace
from studio.sweeps.sweep import (
    Run,
    State,
    Sweep,
    read,
    recipes_of,
    update,
    words_of,
    write,
    write_recipes,
)
from studio.task import Task
from studio.workbench import Workbench

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
GOING_ON: tuple[State, ...] = ("waiting", "running")
ENDED_EARLY: tuple[State, ...] = ("unfinished", "failed", "cancelled")


class Queue:
    """The sweeps of one study on one executor, and what of them and of others is in the journal."""

    def __init__(self, bench: Workbench, family: str) -> None:
        self.lock = threading.RLock()
        self.family = family
        self.sweeps: dict[str, Sweep] = {}
        self.living = Living(bench.workspace / "claims")
        self._own: set[str] = set()
        self._version = -1
        self.refresh(bench)

    def of_state(self, *states: State) -> list[Sweep]:
        """Those that no other process has, in the order in which they were put into the queue."""
        with self.lock:
            found = self.sweeps.values()
            return [each for each in found if each.state in states and not each.elsewhere]

    @property
    def resumable(self) -> list[Sweep]:
        """Those that ended before they were complete and have not been dismissed."""
        return [each for each in self.of_state(*ENDED_EARLY) if not each.dismissed]

    @property
    def running(self) -> Sweep | None:
        return next(iter(self.of_state("running")), None)

    @property
    def elsewhere(self) -> list[Sweep]:
        """Those that run or wait in another process."""
        with self.lock:
            return [each for each in self.sweeps.values() if each.elsewhere]

    def take(self, sweep: Sweep) -> bool:
        """Put a sweep at the end; False if another process has just taken it."""
        sweep.elsewhere = not self.living.hold(sweep.id)
        if not sweep.elsewhere:
            self._own.add(sweep.id)
            self.sweeps.pop(sweep.id, None)
            self.sweeps[sweep.id] = sweep
        return not sweep.elsewhere

    def ended(self, sweep: Sweep) -> None:
        """A sweep of this process is over, as was written; anybody may resume it."""
        self._own.discard(sweep.id)
        self.living.let_go(sweep.id)

    def refresh(self, bench: Workbench) -> None:
        """Look at what other processes wrote of their sweeps, and which of them live."""
        with self.lock:
            self._read(bench)
            theirs = [self.sweeps[each] for each in self.sweeps.keys() - self._own]
            for each in theirs:
                each.elsewhere = each.state in GOING_ON and self.living.elsewhere(each.id)
            ended = [each for each in theirs if each.state in GOING_ON and not each.elsewhere]
            if ended:  # how, may have been written since
                bench.store.refresh()
                self._read(bench)
            for each in ended:
                each.state = "unfinished" if each.state in GOING_ON else each.state

    def _read(self, bench: Workbench) -> None:
        version = bench.store.version
        if version == self._version:
            return
        self._version = version
        for each in read(bench, self.family):
            known = self.sweeps.setdefault(each.id, each)
            if known is not each and each.id not in self._own:
                update(known, each)


_QUEUES: WeakKeyDictionary[Executor, dict[tuple[str, str], Queue]] = WeakKeyDictionary()
_MAKING = threading.Lock()


def queue(bench: Workbench) -> Queue | None:
    """The queue of a study; None until its points can be known."""
    if bench.known is None:
        return None
    key = (str(bench.study.path), bench.known.family)
    with _MAKING:
        queues = _QUEUES.setdefault(bench.executor, {})
        if key not in queues:
            queues[key] = Queue(bench, bench.known.family)
        return queues[key]


def enqueue(
    bench: Workbench,
    designs: Sequence[Mapping[str, Any]],
    recipes: Iterable[Recipe],
    objectives: Sequence[str],
    expected: Mapping[str, float],
) -> Sweep:
    """Put a sweep at the end of the queue; it starts when those before it have ended.

    Args:
        recipes: resolved; in the order to be measured, each once.
        expected: method -> seconds a point.
    """
    found = queue(bench)
    assert found is not None, "the study is not open"
    recipes = tuple(dict.fromkeys(recipes))
    sweep = Sweep(
        uuid.uuid4().hex[:12],
        found.family,
        tuple(dict(each) for each in designs),
        tuple(objectives),
        len(recipes),
        time.time(),
        dict(expected),
        recipes=recipes,
    )
    with found.lock:
        write_recipes(bench, sweep, recipes)
        found.take(sweep)
        write(bench, sweep)
    advance(bench)
    return sweep


def resume(bench: Workbench, sweep: Sweep) -> None:
    """Back to the end of the queue, to measure what is missing."""
    found = queue(bench)
    assert found is not None
    with found.lock:
        if sweep not in found.resumable or not found.take(sweep):
            return
        sweep.state, sweep.reason = "waiting", ""
        write(bench, sweep)
    advance(bench)


def same(
    bench: Workbench, sweep: Sweep, recipes: tuple[Recipe, ...], objectives: Sequence[str]
) -> bool:
    """Whether a sweep measures just this."""
    return sweep.objectives == tuple(objectives) and recipes_of(bench, sweep) == recipes


def finish(bench: Workbench, sweep: Sweep, seconds: float) -> None:
    """Wait until a running sweep has ended and is written down; for a process that ends then."""
    run = sweep.run
    if run is not None:
        with contextlib.suppress(TimeoutError, ParetoscopeError):
            run.task.handle.result(seconds)  # how it ended is in its status
        advance(bench)
        run.follower.join(seconds)


def cancel(bench: Workbench, sweep: Sweep) -> None:
    """Stop it if it runs, remove it if it waits. Its points stay; it can be resumed."""
    found = queue(bench)
    assert found is not None
    with found.lock:
        if sweep.state == "waiting":
            sweep.state = "cancelled"
            write(bench, sweep)
            found.ended(sweep)
        elif sweep.run is not None:
            sweep.run.cancelled = True
            sweep.run.task.handle.cancel()


def dismiss(bench: Workbench, sweep: Sweep) -> None:
    """No longer offer to resume it."""
    found = queue(bench)
    assert found is not None
    with found.lock:
        sweep.dismissed = True
        write(bench, sweep)


def advance(bench: Workbench) -> None:
    """Look at the running sweep; once it has ended, write that down and start the next."""
    found = queue(bench)
    if found is None:
        return
    with found.lock:
        found.refresh(bench)
        sweep = found.running
        if sweep is not None and sweep.run is not None:
            if not _look(sweep, sweep.run):
                return
            if not _end(sweep, sweep.run):
                found.living.let_go_all()
                return  # the app is closing: what waits stays for the next start
            write(bench, sweep)
            found.ended(sweep)
        waiting = found.of_state("waiting")
        while waiting and found.running is None and bench.opened is not None:
            _start(bench, found, waiting.pop(0))


def _look(sweep: Sweep, run: Run) -> bool:
    """Whether the job is over; keeps its pace."""
    status, before = run.task.status, run.pace.active
    done, ahead = (int(status.progress.get(name, 0)) for name in ("done", "ahead"))
    run.pace.saw(status.state, done, time.monotonic(), ahead)
    sweep.seconds += run.pace.active - before
    return status.over


def _end(sweep: Sweep, run: Run) -> bool:
    """How the job ended; False if the executor was closed under it."""
    status, sweep.run = run.task.status, None
    sweep.expected = run.pace.points
    if status.state == "done":
        sweep.state, sweep.failed = "done", len(run.task.handle.result(0).get("errors") or ())
    elif status.failure == "cancelled":
        sweep.state = "cancelled" if run.cancelled else "unfinished"
        return run.cancelled
    else:
        sweep.state, sweep.reason = "failed", status.reason or "no reason was given"
    return True


def _start(bench: Workbench, found: Queue, sweep: Sweep) -> None:
    missing = bench.lacking(recipes_of(bench, sweep), sweep.objectives)
    if not missing:
        sweep.state, sweep.failed = "done", 0
        write(bench, sweep)
        found.ended(sweep)
        return
    payload = {
        "recipes": [each.as_dict() for each in missing],
        "objectives": list(sweep.objectives),
        "split": "explore",
        "have": bench.have(missing),
    }
    task = bench.submit(words_of(sweep), "sweep", payload, f"sweep:{sweep.id}", "sweep")
    methods = [each.method for each in missing]
    pace = Pace(methods, sweep.expected, time.monotonic())
    follower = threading.Thread(target=_follow, args=(bench, task), daemon=True)
    sweep.run, sweep.state = Run(task, tuple(missing), pace, follower), "running"
    write(bench, sweep)
    follower.start()


def _follow(bench: Workbench, task: Task) -> None:
    """Keeps the pace of a job and moves the queue on, whether or not a page is open."""
    try:
        over = False
        while not over:
            with contextlib.suppress(TimeoutError, ParetoscopeError):
                task.handle.result(LOOK_SECONDS)  # how it ended is in its status
            over = task.status.over  # asked first: it may have ended before this thread began
            advance(bench)
    except ParetoscopeError:
        log.exception("the sweep queue could not continue")
