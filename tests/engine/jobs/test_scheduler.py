"""The order of jobs and the sweep's share, on a clock that only the jobs move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from engine.jobs import scheduler
from engine.jobs.scheduler import Scheduler, Share
from engine.jobs.served import Emit
from engine.worker.messages import Event, Job


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow:
    """Each step takes 0.1 s of the clock; what runs when is written down."""

    on_cpu = True

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.trace: list[str] = []
        self.at_step: Callable[[Job, int], None] = lambda job, step: None

    def run(self, job: Job, emit: Emit, tick: Callable[[], None]) -> Mapping[str, Any]:
        for step in range(job.payload["steps"]):
            self.clock.now += 0.1
            self.trace.append(job.payload["name"])
            self.at_step(job, step)
            tick()
        return {}

    def park(self) -> Callable[[], None]:
        self.trace.append("park")
        return lambda: self.trace.append("back")

    def rest(self) -> None:
        self.trace.append("rest")

    def close(self) -> None:
        self.trace.append("close")


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.events: list[Event] = []
        self.service = Slow(self.clock)
        self.scheduler = Scheduler(self.take, clock=self.clock, share=Share())
        self.left = 0

    def take(self, event: Event) -> None:
        self.events.append(event)
        if event.kind in ("done", "failed"):
            self.left -= 1
            if not self.left:
                self.scheduler.stop()

    def submit(self, name: str, steps: int, session: str | None = "s", sweep: bool = False) -> Job:
        priority = "sweep" if sweep else "interactive"
        job = Job("k", {"name": name, "steps": steps}, session, priority, id=name)
        self.left += 1
        self.scheduler.submit(job)
        return job

    def run(self) -> str:
        self.scheduler.run(self.service)
        return " ".join(self.service.trace)

    def ended(self) -> dict[str, str]:
        return {
            each.job: each.data.get("failure", "done")
            for each in self.events
            if each.kind in ("done", "failed")
        }


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_interactive_jobs_go_before_sweeps_and_among_each_other_in_turn(bench: Bench) -> None:
    bench.submit("sweep", 1, sweep=True)
    bench.submit("a", 1, "first")
    bench.submit("b", 1, "second")
    assert bench.run() == "a b sweep close"


def test_a_newer_request_takes_the_place_in_line_of_the_one_it_replaces(bench: Bench) -> None:
    bench.submit("a", 1, "mine")
    bench.submit("b", 1, "other")
    bench.submit("c", 1, "mine")
    assert bench.run() == "c b close"
    assert bench.ended() == {"a": "cancelled", "c": "done", "b": "done"}


def test_what_no_browser_session_asks_for_takes_nobodys_place(bench: Bench) -> None:
    bench.submit("a", 1, None)
    bench.submit("b", 1, None)
    assert bench.run() == "a b close"
    assert set(bench.ended().values()) == {"done"}


def test_a_sweep_is_parked_at_a_quantum_and_put_back(bench: Bench) -> None:
    bench.submit("sweep", 3, sweep=True)
    bench.service.at_step = lambda job, step: (
        bench.submit("a", 2) and None if (job.id, step) == ("sweep", 0) else None
    )
    assert bench.run() == "sweep park a a back sweep sweep close"


def test_an_interactive_job_is_not_parked(bench: Bench) -> None:
    bench.submit("a", 2, "mine")
    bench.service.at_step = lambda job, step: (
        bench.submit("b", 1, "other") and None if (job.id, step) == ("a", 0) else None
    )
    assert bench.run() == "a a b close"


def test_a_held_slider_leaves_the_sweep_a_fifth(bench: Bench) -> None:
    count = iter(range(10_000))

    def hold(job: Job, step: int) -> None:
        if bench.scheduler._sweeps or any(
            each.job.id == "sweep" for each in bench.scheduler._running
        ):
            bench.submit(f"slider {next(count)}", 3)

    bench.service.at_step = hold
    bench.submit("sweep", 100, sweep=True)
    bench.submit("slider", 3)
    bench.run()
    ran = bench.service.trace[: len(bench.service.trace) - bench.service.trace[::-1].index("sweep")]
    steps = [each for each in ran if each not in ("park", "back")]
    assert len(steps) > 300, "the slider got nothing"
    assert steps.count("sweep") / len(steps) > 0.19
    for start in range(0, len(steps) - 100, 10):
        assert steps[start : start + 100].count("sweep") >= 8, "starved for ten seconds"


def test_after_a_quiet_time_credit_is_bounded() -> None:
    share = Share()
    share.spend(3600.0, sweep=True)
    assert share.credit == share.limit
    share.spend(share.limit, sweep=False)
    assert not share.allows_interactive


def test_a_parked_sweep_that_is_cancelled_ends_when_it_is_back(bench: Bench) -> None:
    bench.submit("sweep", 3, sweep=True)

    def step(job: Job, step: int) -> None:
        if job.id == "sweep":
            bench.submit("a", 1)
        else:
            bench.scheduler.cancel("sweep")

    bench.service.at_step = step
    assert bench.run() == "sweep park a back close"
    assert bench.ended() == {"a": "done", "sweep": "cancelled"}


def test_putting_back_does_not_make_way_again(bench: Bench) -> None:
    tick: list[Callable[[], None]] = []
    run = bench.service.run

    def keep(job: Job, emit: Emit, each: Callable[[], None]) -> Mapping[str, Any]:
        if job.id == "sweep":
            tick.append(each)
        return run(job, emit, each)

    def park() -> Callable[[], None]:
        bench.service.trace.append("park")

        def back() -> None:
            if "late" not in bench.service.trace:
                bench.submit("late", 1)
                tick[0]()
            bench.service.trace.append("back")
            bench.service.at_step = lambda job, step: None

        return back

    bench.service.run = keep  # type: ignore[method-assign]
    bench.service.park = park  # type: ignore[method-assign]
    bench.service.at_step = lambda job, step: (
        bench.submit("a", 1) and None if (job.id, step) == ("sweep", 0) else None
    )
    bench.submit("sweep", 2, sweep=True)
    assert bench.run().startswith("sweep park a back sweep park late")


def test_a_service_rests_once_when_nothing_is_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "QUIET_SECONDS", 0.0)

    def ask_while_resting() -> None:
        bench.service.trace.append("rest")
        bench.submit("a", 1)

    monkeypatch.setattr(bench.service, "rest", ask_while_resting)
    assert bench.run() == "rest a close"
