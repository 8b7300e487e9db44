"""Work that several threads share."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from engine.merging.shared import shared


@pytest.fixture(params=[1, 2, 4])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 95])
def test_every_element_is_worked_on_once(threads: int, size: int) -> None:
    done = [0] * size

    def run(start: int, count: int) -> int:
        for place in range(start, start + count):
            done[place] += 1
        return count

    assert sum(shared(run, size, 10)) == size
    assert done == [1] * size


def test_two_threads_work_at_the_same_time(threads: int) -> None:
    meeting = threading.Barrier(min(threads, 2))

    def run(start: int, count: int) -> int:
        return meeting.wait(30)  # raises unless another thread comes

    assert len(shared(run, 20, 10)) == (1 if threads == 1 else 2)


def test_an_error_comes_out_when_no_thread_is_at_work(threads: int) -> None:
    entered, left = [], []

    def run(start: int, count: int) -> int:
        entered.append(start)
        try:
            if start == 10 or threads == 1:
                raise ValueError("no")
            return 0
        finally:
            left.append(start)

    with pytest.raises(ValueError, match="no"):
        shared(run, 1000, 10)
    assert sorted(entered) == sorted(left)
