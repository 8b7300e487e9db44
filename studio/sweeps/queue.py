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

from engine.errors import ParetoscopeError
from engine.jobs.executor import Executor
from engine.recipe import Recipe
from studio.sweeps.listed import Queue
from studio.sweeps.pace import Pace
from studio.sweeps.searching import budget, payload_of, take
from studio.sweeps.sweep import (
    Run,
    Sweep,
    recipes_of,
    words_of,
    write,
    write_recipes,
)
from studio.task import Task
from studio.workbench import Workbench

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


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
    search: dict[str, Any] | None = None,
) -> Sweep:
    """Put a sweep at the end of the queue; it starts when those before it have ended.

    Args:
        recipes: resolved; in the order to be measured, each once. A search has none yet.
        search: as `searching.state_of` makes it.
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
        len(recipes) if search is None else budget(designs),
        time.time(),
        dict(expected),
        search=search,
        recipes=recipes,
    )
    with found.lock:
        write_recipes(bench, sweep, recipes)
        found.take(sweep)
        write(bench, sweep)
    advance(bench)
    return sweep


def resume(bench: Workbench, sweep: Sweep, points: int = 0) -> bool:
    """Back to the end of the queue, to measure what is missing; False where another process has
    taken it first.

    Args:
        points: that a search may have; one that is done goes on if they are more than it had.
    """
    found = queue(bench)
    assert found is not None
    with found.lock:
        done = sweep.search is not None and sweep.state == "done" and points > sweep.count
        if not (done or sweep in found.resumable):
            return True
        if not found.take(sweep):
            return False
        if sweep.search is not None:
            sweep.count = max(points, sweep.count)
            sweep.search |= {"why": ""} | ({"calm": 0} if done else {})
        sweep.state, sweep.reason = "waiting", ""
        write(bench, sweep)
    advance(bench)
    return True


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
            if not _end(bench, sweep, sweep.run):
                found.living.let_go_all()
                return  # the app is closing: what waits stays for the next start
            if sweep.state == "running":  # of a search: the next batch, or its points
                _start(bench, found, sweep)
                return
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


def _end(bench: Workbench, sweep: Sweep, run: Run) -> bool:
    """How the job ended; False if the executor was closed under it."""
    status, sweep.run = run.task.status, None
    sweep.expected = run.pace.points
    if status.state == "done" and run.asking:
        if _asked(bench, sweep, run.task.handle.result(0)) and run.cancelled:
            sweep.state = "cancelled"
    elif status.state == "done":
        errors = len(run.task.handle.result(0).get("errors") or ())
        sweep.failed = errors if sweep.search is None else sweep.failed + errors
        more = sweep.search is not None and len(recipes_of(bench, sweep)) < sweep.count
        sweep.state = "cancelled" if run.cancelled and more else "running" if more else "done"
    elif status.failure == "cancelled":
        sweep.state = "cancelled" if run.cancelled else "unfinished"
        return run.cancelled
    else:
        sweep.state, sweep.reason = "failed", status.reason or "no reason was given"
    return True


def _asked(bench: Workbench, sweep: Sweep, result: Mapping[str, Any]) -> bool:
    """Take a search's next batch; False, and the search is done, where there is none."""
    assert sweep.search is not None
    known = recipes_of(bench, sweep)
    batch = [each for each in take(sweep.search, result, sweep.count - len(known))
             if each not in known]  # fmt: skip
    if not batch:
        sweep.state = "done"
        return False
    sweep.recipes, sweep.ids = (*known, *batch), None
    sweep.search["asked"] = len(sweep.recipes)
    write_recipes(bench, sweep, sweep.recipes)
    return True


def _start(bench: Workbench, found: Queue, sweep: Sweep) -> None:
    recipes = recipes_of(bench, sweep)
    missing = bench.lacking(recipes, sweep.objectives)
    if not missing and sweep.search is not None and len(recipes) < sweep.count:
        asked = payload_of(
            bench,
            sweep.designs,
            sweep.objectives,
            sweep.search,
            recipes,
            sweep.count - len(recipes),
        )
        _run(bench, sweep, (), "suggest", asked)
        return
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
    _run(bench, sweep, tuple(missing), "sweep", payload)


def _run(
    bench: Workbench, sweep: Sweep, missing: tuple[Recipe, ...], kind: str,
    payload: Mapping[str, Any],
) -> None:  # fmt: skip
    task = bench.submit(words_of(sweep), kind, payload, f"sweep:{sweep.id}", "sweep")
    pace = Pace([each.method for each in missing], sweep.expected, time.monotonic())
    follower = threading.Thread(target=_follow, args=(bench, task), daemon=True)
    sweep.run = Run(task, missing, pace, follower, asking=kind == "suggest")
    sweep.state = "running"
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
