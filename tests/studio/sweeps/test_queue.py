"""The queue of sweeps over the toy engine: order, ends, resuming, and no point twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.jobs.inline import InlineExecutor
from engine.recipe import Recipe, resolve
from engine.worker.messages import Job
from studio.sweeps import queue as sweeping
from studio.sweeps.sweep import KIND, Sweep, design_words, lacking, recipes_of, there
from studio.workbench import Workbench
from tests.app_fixtures import until
from tests.pages import toy

NAMES = ["facts", "manners", "loss"]
SLOW = 600.0  # seconds a score: it ends when a test ends it


def recipes(bench: Workbench, *values: float) -> list[Recipe]:
    return [resolve(Recipe("task_arithmetic", {"helpful": each}), bench.names) for each in values]


def put(bench: Workbench, *values: float, objectives: list[str] | None = None) -> Sweep:
    plan = [{"method": "task_arithmetic", "strategy": "grid", "points": len(values)}]
    return sweeping.enqueue(bench, plan, recipes(bench, *values), objectives or NAMES, {})


def idle(bench: Workbench) -> bool:
    sweeping.advance(bench)
    queue = sweeping.queue(bench)
    return queue is not None and not queue.of_state("running", "waiting")


@contextmanager
def restarted(bench: Workbench) -> Iterator[tuple[Workbench, toy.Service]]:
    """Another process on the same workspace, as far as the queue can tell."""
    service = toy.Service()
    with InlineExecutor(
        bench.workspace, on_rows=bench.store.append, service=lambda: service
    ) as executor:
        again = Workbench(
            bench.study, bench.objectives, bench.family, bench.workspace, bench.store,
            executor,
        )  # fmt: skip
        until(lambda: again.advance() or again.opened is not None)
        yield again, service


def dies(bench: Workbench) -> None:
    """What the kernel does for a process that ends."""
    queue = sweeping.queue(bench)
    assert queue is not None
    queue.living.let_go_all()


def test_a_sweep_measures_its_recipes_on_its_objectives(
    bench: Workbench, service: toy.Service
) -> None:
    service.measured.clear()
    sweep = put(bench, 0.1, 0.2, objectives=["facts", "loss"])
    until(lambda: sweep.state == "done")
    points = list(map(bench.point_id, recipes(bench, 0.1, 0.2)))
    wanted = [(point, name) for point in points for name in ("facts", "loss")]
    assert service.measured == wanted
    assert there(bench, sweep) == 2 and sweep.run is None and sweep.seconds >= 0
    assert list(sweep.expected) == ["task_arithmetic"]


def test_sweeps_wait_for_each_other_and_start_without_a_page(
    bench: Workbench, service: toy.Service
) -> None:
    service.pause = 0.1
    first, second = put(bench, 0.1), put(bench, 0.2)
    assert (first.state, second.state) == ("running", "waiting")
    until(lambda: second.state == "done")  # nobody looks: a thread moves the queue on
    assert first.state == "done"


def test_what_is_there_is_never_measured_again(bench: Workbench, service: toy.Service) -> None:
    first = put(bench, 0.1, 0.2, objectives=["facts"])
    second = put(bench, 0.2, 0.3)
    third = put(bench, 0.1, 0.2, objectives=["facts"])
    until(lambda: third.state == "done")
    assert first.state == second.state == "done" and third.run is None
    assert len(service.measured) == len(set(service.measured))


def test_a_sweep_that_runs_is_cancelled_and_the_next_starts(
    bench: Workbench, service: toy.Service
) -> None:
    service.pause = SLOW
    first, second = put(bench, 0.1, 0.2), put(bench, 0.3)
    until(lambda: first.run is not None and first.run.task.status.state == "running")
    sweeping.cancel(bench, first)
    service.pause = 0.0
    until(lambda: second.state == "done")
    assert first.state == "cancelled"
    queue = sweeping.queue(bench)
    assert queue is not None and queue.resumable == [first]
    sweeping.resume(bench, first)
    until(lambda: first.state == "done")
    assert there(bench, first) == 2 and queue.resumable == []


def test_a_sweep_that_waits_is_taken_out(bench: Workbench, service: toy.Service) -> None:
    service.pause = SLOW
    first, second = put(bench, 0.1), put(bench, 0.2)
    sweeping.cancel(bench, second)
    assert second.state == "cancelled" and second.run is None
    sweeping.cancel(bench, first)
    until(lambda: idle(bench))
    assert first.state == "cancelled"
    sweeping.dismiss(bench, second)
    queue = sweeping.queue(bench)
    assert queue is not None and queue.resumable == [first]


def test_after_an_end_of_the_app_a_sweep_is_unfinished_and_resumes(
    bench: Workbench, service: toy.Service
) -> None:
    service.pause = SLOW
    service.measured.clear()
    running = put(bench, 0.1, 0.2, 0.3)
    waiting = put(bench, 0.4)
    bench.store.append(toy.score_rows(recipes(bench, 0.1)[0], bench.study))
    dies(bench)
    with restarted(bench) as (again, fresh):
        queue = sweeping.queue(again)
        assert queue is not None
        assert [(each.id, each.state) for each in queue.resumable] == [
            (running.id, "unfinished"),
            (waiting.id, "unfinished"),
        ]
        found = queue.sweeps[running.id]
        assert found is not running and found.designs == running.designs
        assert recipes_of(again, found) == running.recipes
        assert found.objectives == tuple(NAMES) and there(again, found) == 1
        sweeping.resume(again, found)
        sweeping.resume(again, queue.sweeps[waiting.id])
        until(lambda: idle(again))
        missing = map(again.point_id, recipes(again, 0.2, 0.3, 0.4))
        assert fresh.measured == [(point, name) for point in missing for name in NAMES]
    sweeping.cancel(bench, waiting)
    sweeping.cancel(bench, running)
    until(lambda: idle(bench))


def test_a_sweep_of_another_process_is_seen_until_it_ends_or_dies(
    bench: Workbench, service: toy.Service
) -> None:
    with restarted(bench) as (shell, theirs):
        here = sweeping.queue(bench)
        assert here is not None
        theirs.pause = SLOW
        sweep, waiting = put(shell, 0.1, 0.2), put(shell, 0.3)
        sweeping.advance(bench)
        found = {each.id: each for each in here.elsewhere}
        assert [each.state for each in found.values()] == ["running", "waiting"]
        assert found[sweep.id] is not sweep and found[sweep.id].designs == sweep.designs
        assert here.resumable == [] and here.running is None
        mine = put(bench, 0.4)  # and it holds up nothing here
        until(lambda: mine.state == "done")
        sweeping.cancel(shell, waiting)
        theirs.pause = 0.0
        until(lambda: sweeping.advance(bench) or not here.elsewhere)
        states = {each.id: each.state for each in here.sweeps.values()}
        assert states == {sweep.id: "done", waiting.id: "cancelled", mine.id: "done"}

        theirs.pause = SLOW
        killed = put(shell, 0.5)
        sweeping.advance(bench)
        assert [each.id for each in here.elsewhere] == [killed.id]
        dies(shell)  # and writes nothing
        sweeping.advance(bench)
        [left] = [each for each in here.resumable if each.id == killed.id]
        assert left.state == "unfinished"
        sweeping.resume(bench, left)
        until(lambda: left.state == "done")
        there_too = sweeping.queue(shell)
        assert there_too is not None
        until(lambda: not there_too.living.elsewhere(killed.id))
        sweeping.cancel(shell, killed)
        until(lambda: killed.run is None)


def test_only_one_process_resumes_a_sweep(bench: Workbench, service: toy.Service) -> None:
    service.pause = SLOW
    first = put(bench, 0.1)
    sweeping.cancel(bench, first)
    until(lambda: first.state == "cancelled")
    with restarted(bench) as (shell, theirs):
        theirs.pause = SLOW
        there_too = sweeping.queue(shell)
        assert there_too is not None
        [same] = there_too.resumable
        assert sweeping.resume(shell, same)
        assert not sweeping.resume(bench, first)  # it has not looked since
        assert same.state == "running" and first.elsewhere
        sweeping.advance(bench)
        assert first.elsewhere and first.state == "running"
        sweeping.cancel(shell, same)
        until(lambda: sweeping.advance(bench) or not first.elsewhere)
        assert first.state == "cancelled"


def test_an_executor_that_is_closed_leaves_its_sweep_unfinished(
    bench: Workbench, service: toy.Service
) -> None:
    with restarted(bench) as (again, fresh):
        fresh.pause = SLOW
        first, second = put(again, 0.1), put(again, 0.2)
    until(lambda: first.run is None)
    assert (first.state, second.state) == ("unfinished", "waiting")
    states = {row["id"]: row["state"] for row in bench.store.records(KIND, toy.FAMILY)}
    assert states == {first.id: "running", second.id: "waiting"}


def test_a_job_that_fails_says_why_and_the_next_starts(
    bench: Workbench, service: toy.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(service, "sweep", broken)
    service.pause = 0.05
    first = put(bench, 0.1)
    until(lambda: first.state == "failed")
    assert "the disk is gone" in first.reason
    monkeypatch.undo()
    sweeping.resume(bench, first)
    until(lambda: first.state == "done")
    assert first.reason == ""


def test_failed_recipes_are_counted(bench: Workbench) -> None:
    sweep = put(bench, toy.REFUSED, 0.2)
    until(lambda: sweep.state == "done")
    assert sweep.failed == 1 and there(bench, sweep) == 1


def test_a_study_edited_meanwhile_sees_the_sweep_that_runs(
    bench: Workbench, service: toy.Service
) -> None:
    service.pause = SLOW
    sweep = put(bench, 0.1)
    again = Workbench(
        bench.study, bench.objectives, bench.family, bench.workspace, bench.store,
        bench.executor,
    )  # fmt: skip
    until(lambda: again.advance() or again.opened is not None)
    queue = sweeping.queue(again)
    assert queue is not None and queue.running is sweep
    sweeping.cancel(again, sweep)
    until(lambda: idle(again))


def test_before_points_can_be_known_there_is_no_queue(bench: Workbench) -> None:
    class Silent:
        def submit(self, job: Job) -> None: ...

    fresh = Workbench(
        bench.study, bench.objectives, bench.family, bench.workspace, bench.store,
        Silent(),  # type: ignore[arg-type]
    )  # fmt: skip
    assert fresh.known is None and sweeping.queue(fresh) is None
    sweeping.advance(fresh)


def test_many_recipes_come_back_as_they_were(bench: Workbench) -> None:
    many = recipes(bench, *(index / 1000 for index in range(300)))
    many.insert(7, resolve(Recipe("pcb", {"terse": 0.5}, {"ratio": 0.2}), bench.names))
    sweep = sweeping.enqueue(bench, [], many, NAMES, {})
    sweep.recipes = None
    assert recipes_of(bench, sweep) == tuple(many)
    until(lambda: idle(bench))


def test_gaps_are_told_score_by_score(bench: Workbench) -> None:
    partly, never = recipes(bench, 0.6, 0.7)
    bench.store.append(toy.score_rows(partly, bench.study)[:1])
    ids = [bench.point_id(each) for each in (partly, never)]
    gaps = lacking(bench.measured(), ids, ["loss", "facts"])
    assert gaps.tolist() == [[True, False], [True, True]]


def test_designs_in_words() -> None:
    plain = {"method": "pcb", "strategy": "sobol", "points": 9, "seed": 3}
    assert design_words(plain) == "pcb sobol 9 seed 3"
    shaped = plain | {"strategy": "grid", "parameters": {"ratio": 0.2, "variant": "nlp"}}
    assert design_words(shaped) == "pcb [ratio 0.2, variant nlp] grid 9"
