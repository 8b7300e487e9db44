"""Time left of a sweep, from the points it has measured; parked time does not count.

A method's points take about the same time each, two methods' may not: so seconds are kept by
method, and until a method has its first point what the estimate measured stands for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence


class Pace:
    """The pace of one job that measures recipes one after another.

    Args:
        methods: the method of each recipe, in the job's order.
        expected: method -> seconds a point, as the estimate measured it.
        now: seconds, monotonic.
    """

    def __init__(self, methods: Sequence[str], expected: Mapping[str, float], now: float) -> None:
        self._methods = tuple(methods)
        self._expected = dict(expected)
        self._measured: dict[str, tuple[int, float]] = {}
        self._last, self._running = now, False
        self._done, self._open = 0, 0.0
        self._ahead, self._ready = 0.0, 0
        self.active = 0.0
        """Seconds that the job has had the device."""

    def saw(self, state: str, done: int, now: float, ahead: int = 0) -> None:
        """Look at the job: its state (`executor.JobState`) and how many recipes are done.

        Args:
            ahead: recipes that it works on together now, before each is measured.
        """
        running = state == "running"
        if self._running:
            spent = now - self._last
            self.active += spent
            if ahead:
                self._ahead, self._ready = self._ahead + spent, ahead
            else:
                self._open += spent
        self._last, self._running = now, running
        finished = self._methods[self._done : done]
        for method in finished:  # several between two looks: each an equal part
            count, seconds = self._measured.get(method, (0, 0.0))
            part = self._ahead / self._ready if self._ready else 0.0
            self._ahead, self._ready = self._ahead - part, max(0, self._ready - 1)
            self._measured[method] = (count + 1, seconds + part + self._open / len(finished))
        if finished:
            self._done, self._open = done, 0.0

    @property
    def points(self) -> dict[str, float]:
        """Method -> seconds a point: measured in this job, else expected."""
        measured = {name: seconds / count for name, (count, seconds) in self._measured.items()}
        return self._expected | measured

    @property
    def left(self) -> float | None:
        """Seconds of work left; None if a method's pace is not known."""
        points = self.points
        waiting = self._methods[self._done :]
        if any(method not in points for method in waiting):
            return None
        whole = sum(points[method] * count for method, count in Counter(waiting).items())
        if not waiting:
            return 0.0
        ready = sum(points[method] for method in waiting[: self._ready])
        return whole - max(
            min(self._open, points[waiting[0]]), min(self._ahead + self._open, ready)
        )


def duration(seconds: float) -> str:
    """A duration as text, with useful precision: 0.4 s, 12 s, 3 min, 2 h 5 min, 3 days."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{math.ceil(seconds)} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{math.ceil(seconds / 86400)} days"
