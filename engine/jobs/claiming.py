"""Which recipe of a job is measured next, so that no other process measures the same one.

    recipes that lack scores ──► claim the next few ──► granted: measured here, then the next
                  ▲                                 ├─► there: measured elsewhere, and counts
                  └──── later ◄── put off ──────────┴─► elsewhere: somebody measures it now

A recipe is asked for when its turn has come, so a job holds one at a time; where recipes take
milliseconds it holds as many as fit into `HOLD_SECONDS`, since a question costs some too, and lets
go of those that do not fit after all. Those that are prepared together it holds until each is
measured. What others measure is asked for again together with what
comes next, and once nothing else is left every `POLL_SECONDS`; should its owner die, it is granted
here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol

from engine.decoding.inputs import Tick
from engine.errors import Cancelled
from engine.jobs.served import Emit

WINDOW = 8
"""Recipes asked for at once, and as many that were put off: most often the first is granted, and
beside other processes those that they measured meanwhile are passed over together."""

MOST = 64
"""Recipes held at once: of a question that costs a millisecond each bears little."""

HOLD_SECONDS = 0.5
POLL_SECONDS = 0.25
PAUSE_SECONDS = 0.05


class TakenOver(Cancelled):
    """While a job was parked, another one took over what it was measuring."""


class Hold:
    """What a job was granted at once: one recipe, or a few.

    Attributes:
        left: ids of scores that are not measured yet.
        lost: whether another job took some of them over.
    """

    def __init__(self, granted: frozenset[str], emit: Emit, tick: Tick) -> None:
        self.left = set(granted)
        self.lost = False
        self._emit = emit
        self._tick = tick
        self._asked = emit.asked

    def tick(self) -> None:
        self._tick()
        if self._emit.asked != self._asked and self.left:
            answer = self._emit.claim([self.left], self._tick)
            self._asked = self._emit.asked
            if answer.granted != self.left:
                self.lost = True
                raise TakenOver("another job is measuring this now")


class Turn:
    """One recipe that is being measured.

    Attributes:
        key: its place in the job.
        granted: ids of the scores that it may measure.
        left: those of them that are not measured yet.
    """

    def __init__(self, key: int, granted: frozenset[str], hold: Hold) -> None:
        self.key = key
        self.granted = granted
        self.left = set(granted)
        self.failed = False
        self._hold = hold

    def tick(self) -> None:
        """A quantum of the job.

        Raises:
            TakenOver: what is left is no longer this job's to measure.
            Cancelled: the job is.
        """
        self._hold.tick()

    def measured(self, name: str) -> None:
        """A score was emitted."""
        self.left.discard(name)
        self._hold.left.discard(name)

    def fail(self) -> None:
        """The recipe failed: this job does not try the rest of it again."""
        self.failed = True
        self._hold.left -= self.left


class Together(Protocol):
    """What prepares recipes together that are granted at once: `engine.jobs.ahead.Ahead`."""

    def count(self, keys: Sequence[int], seconds: float) -> int:
        """How many of the next recipes to ask for at once; 1 leaves it to how long they take."""

    def begin(self, turns: Sequence[Turn]) -> int:
        """Called before the first of them; how many are prepared, and stay held until measured."""


class Turns:
    """The recipes of a job in the order in which they can be measured. Iterate once.

    Args:
        missing: place of a recipe in the job -> ids of the scores it lacks, some at least.
        elsewhere: called with the place of a recipe that is complete, and in part or whole
            because another process measured it.
        waiting: called when nothing is left but what other processes measure now.
        together: prepares several.
    """

    def __init__(
        self,
        missing: Mapping[int, Collection[str]],
        emit: Emit,
        tick: Tick,
        elsewhere: Callable[[int], None] = lambda key: None,
        waiting: Callable[[], None] = lambda: None,
        together: Together | None = None,
    ) -> None:
        self._missing = {key: set(ids) for key, ids in missing.items() if ids}
        self._fresh = dict.fromkeys(self._missing)
        self._later: dict[int, None] = {}
        self._shared: set[int] = set()
        self._seconds = math.inf
        self._emit = emit
        self._tick = tick
        self._elsewhere = elsewhere
        self._waiting = waiting
        self._together = together

    def __iter__(self) -> Iterator[Turn]:
        while self._missing:
            self._tick()
            before = len(self._missing), len(self._fresh)
            hold, turns = self._ask()
            start = time.monotonic()
            ready = self._together.begin(turns) if self._together is not None else 0
            for done, turn in enumerate(turns, 1):
                if hold.lost:
                    break
                yield turn
                self._after(turn)
                spent = time.monotonic() - start
                self._seconds = spent / done
                if hold.lost or (done >= ready and (ready or spent > HOLD_SECONDS)):
                    break  # what is left of them is asked for again
            if not turns and before == (len(self._missing), len(self._fresh)):
                self._waiting()
                self._pause()

    @property
    def left(self) -> int:
        """Recipes that still lack scores."""
        return len(self._missing)

    def _ask(self) -> tuple[Hold, list[Turn]]:
        """What is granted, if anything is."""
        many = max(1, min(MOST, int(HOLD_SECONDS / max(self._seconds, 1e-9))))
        if self._together is not None:
            several = self._together.count(list(islice(self._fresh, MOST)), self._seconds)
            many = several if several > 1 else many
        later = list(islice(self._later, WINDOW))
        fresh = list(islice(self._fresh, max(WINDOW, many)))
        groups = [*([key] for key in later), fresh[:many], *([key] for key in fresh[many:])]
        answer = self._emit.claim(
            [set().union(*(self._missing[key] for key in group)) for group in groups if group],
            self._tick,
        )
        hold, turns = Hold(answer.granted, self._emit, self._tick), []
        free = set(answer.granted)
        for key in [*later, *fresh]:
            ids = self._missing[key]
            if ids & answer.there:
                self._shared.add(key)
                ids -= answer.there
                if not ids:
                    self._drop(key)
                    continue
            granted = frozenset(free & ids)
            free -= granted
            if granted:
                turns.append(Turn(key, granted, hold))
            elif ids & answer.elsewhere:
                self._put_off(key)
        return hold, turns

    def _after(self, turn: Turn) -> None:
        ids = self._missing[turn.key]
        ids -= turn.granted - turn.left
        if turn.failed:
            self._shared.discard(turn.key)
        if ids and not turn.failed:
            self._put_off(turn.key)
        else:
            self._drop(turn.key)

    def _put_off(self, key: int) -> None:
        self._fresh.pop(key, None)
        self._later.pop(key, None)
        self._later[key] = None

    def _drop(self, key: int) -> None:
        del self._missing[key]
        self._fresh.pop(key, None)
        self._later.pop(key, None)
        if key in self._shared:
            self._elsewhere(key)

    def _pause(self) -> None:
        limit = time.monotonic() + POLL_SECONDS
        while time.monotonic() < limit:
            self._tick()
            time.sleep(PAUSE_SECONDS)
