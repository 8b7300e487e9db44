"""Work in a thread beside the job's own, which is told of and can end it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Generic, TypeVar

from engine.decoding.inputs import Tick

T = TypeVar("T")

SECONDS = 0.05
"""Between two ticks of a job that waits."""


class Ended(Exception):
    """The job has ended: nobody waits for this work any more."""


class Beside(Generic[T]):
    """What a thread is making."""

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def result(self, tick: Tick) -> T:
        """What was made; raises what the work or the tick raises."""
        while not self._future.done():
            tick()
            wait([self._future], SECONDS)
        return self._future.result()


@contextmanager
def beside(work: Callable[[Tick], T]) -> Iterator[Beside[T]]:
    """Run `work` in a thread while the block runs; it ends with the block.

    Args:
        work: is given a tick of its own, to call in its thread.
    """
    over = threading.Event()

    def tick() -> None:
        if over.is_set():
            raise Ended("the job has ended")

    with ThreadPoolExecutor(1, "beside") as pool:
        try:
            yield Beside(pool.submit(work, tick))
        finally:
            over.set()
