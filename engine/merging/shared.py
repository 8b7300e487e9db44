"""Work on neighbouring elements, shared by as many threads as torch uses.

The caller is one of them; the others sleep in a pool that lasts as long as the process. It is for
work that gives up Python's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


def shared(run: Callable[[int, int], int], size: int, block: int) -> list[int]:
    """What `run(start, size of the block)` gives for every block of `size` elements, in any order.

    Args:
        block: elements of a block; fewer are not worth waking a thread for.
    """
    threads = min(torch.get_num_threads(), -(-size // block))
    if threads < 2:
        return [run(0, size)] if size else []
    starts = iter(range(0, size, block))

    def work() -> list[int]:
        return [run(start, min(block, size - start)) for start in starts]

    others = [_pool(torch.get_num_threads()).submit(work) for _ in range(threads - 1)]
    try:
        found = work()
    finally:
        rest = [each.result() for each in others]
    return found + [each for part in rest for each in part]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, "sum")
