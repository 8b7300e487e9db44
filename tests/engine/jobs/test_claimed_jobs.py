"""Executors on one workspace: each score is measured once, whoever asks for it, and everybody's
job is complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cache.store import Store
from engine.errors import JobFailed
from engine.jobs.executor import Handle
from engine.jobs.inline import InlineExecutor
from engine.worker.messages import Job
from tests.faults.paced_service import PacedService, row_id

POINTS = [f"{index:012x}" for index in range(24)]


class Process:
    """A store and an in-line executor, as a shell has them."""

    def __init__(self, workspace: Path, stack: ExitStack) -> None:
        self.store = stack.enter_context(Store.open(workspace))
        self.executor = stack.enter_context(
            InlineExecutor(
                workspace,
                on_rows=self.store.append,
                claims=self.store.claims,
                service=lambda: PacedService(workspace, "cpu", None),
            )
        )

    def sweep(self, points: list[str] = POINTS) -> Handle:
        return self.executor.submit(Job("sweep", {"recipes": points}, "sweep", "sweep"))

    def evaluate(self, points: list[str]) -> Handle:
        return self.executor.submit(Job("evaluate", {"recipes": points}))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def told(handle: Handle) -> Counter[str]:
    """Point -> how often the job told that it is there."""
    found: Counter[str] = Counter()
    for event in handle.events(20):
        if event.kind == "result":
            found[event.data["row"]["point"]] += 1
        elif event.kind == "there":
            found[event.data["point"]] += 1
    handle.result(0)
    return found


def written(store: Store) -> Counter[str]:
    store.refresh()
    return Counter(store._follower.query("SELECT id FROM rows WHERE kind = 'score'", [])["id"])


def test_two_sweeps_share_their_points_and_both_tell_them_all(
    tmp_path: Path, stack: ExitStack
) -> None:
    one, two = Process(tmp_path, stack), Process(tmp_path, stack)
    handles = [one.sweep(), two.sweep()]
    assert [told(each) for each in handles] == [Counter(POINTS), Counter(POINTS)]
    assert written(one.store) == Counter(map(row_id, POINTS))
    assert sum(each.status().rows for each in handles) == len(POINTS)


def test_what_is_evaluated_by_hand_is_not_swept_again(tmp_path: Path, stack: ExitStack) -> None:
    """The point that the sweep is at, one that waits in it, one that is not in it."""
    process = Process(tmp_path, stack)
    sweep = process.sweep()
    while not sweep.status().rows:
        assert not sweep.status().over
    now = POINTS[sweep.status().rows : sweep.status().rows + 3]
    by_hand = [*now, POINTS[-1], "f" * 12]
    evaluation = process.evaluate(by_hand)
    assert set(told(evaluation)) == set(by_hand)
    assert told(sweep) == Counter(POINTS)
    assert written(process.store) == Counter(map(row_id, [*POINTS, "f" * 12]))


def test_jobs_that_wait_for_each_other_end(tmp_path: Path, stack: ExitStack) -> None:
    """Each of two processes evaluates by hand what the other sweeps."""
    one, two = Process(tmp_path, stack), Process(tmp_path, stack)
    first, second = POINTS[:12], POINTS[12:]
    sweeps = [one.sweep(first), two.sweep(second)]
    by_hand = [one.evaluate(second), two.evaluate(first)]
    assert [set(told(each)) for each in by_hand] == [set(second), set(first)]
    assert [set(told(each)) for each in sweeps] == [set(first), set(second)]
    assert written(one.store) == Counter(map(row_id, POINTS))


def test_a_workspace_that_takes_no_claims_fails_the_job_with_its_reason(
    tmp_path: Path, stack: ExitStack
) -> None:
    process = Process(tmp_path, stack)
    (tmp_path / "claims").write_text("")
    with pytest.raises(JobFailed, match=r"could not be claimed .*cannot be written"):
        process.sweep().result(20)
    (tmp_path / "claims").unlink()
    assert told(process.sweep()) == Counter(POINTS)
