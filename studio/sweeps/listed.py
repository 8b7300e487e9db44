"""The sweeps of a study as one process knows them: its own, and those that others wrote."""

from __future__ import annotations

import threading

from cache.living import Living
from studio.sweeps.sweep import State, Sweep, read, update
from studio.workbench import Workbench

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
