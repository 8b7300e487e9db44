"""One conformance class for every executor; what only a process can suffer is in test_local.py."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput, Cancelled, JobFailed
from engine.jobs.client import ConnectedExecutor
from engine.jobs.executor import wait_until_ready
from engine.jobs.inline import InlineExecutor
from engine.jobs.local import LocalExecutor
from engine.worker.messages import Job

STUB = "tests.engine.jobs.stub_service:StubService"
KINDS = {"inline": InlineExecutor, "local": LocalExecutor}


def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come to pass"
        time.sleep(0.005)


@pytest.fixture(scope="module", params=KINDS)
def shared(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Any]:
    """One executor of each kind for all tests, and the rows it saved."""
    rows: list[dict[str, Any]] = []
    place = tmp_path_factory.mktemp("workspace")
    with KINDS[request.param](place, on_rows=rows.extend, service=STUB) as executor:
        yield executor, rows


@pytest.fixture
def executor(shared: Any) -> ConnectedExecutor:
    shared[1].clear()
    return shared[0]


@pytest.fixture
def rows(shared: Any) -> list[dict[str, Any]]:
    return shared[1]


def sweep(recipes: int, steps: int = 10, seconds: float = 0.005, **payload: Any) -> Job:
    payload = {"recipes": list(range(recipes)), "steps": steps, "seconds": seconds, **payload}
    return Job("sweep", payload, session="sweeps", priority="sweep")


class TestExecutor:
    def test_a_row_is_saved_before_it_is_told_and_before_done(self, executor, rows):
        handle = executor.submit(Job("evaluate", {"recipes": [1, 2, 3]}))
        saved = {}
        for event in handle.events(10):
            saved.setdefault(event.kind, len(rows))
            if event.kind == "result":
                assert event.data["row"]["id"] in {row["id"] for row in rows}
                assert "values" not in event.data["row"]
        assert saved["done"] == 3
        assert [row["values"] for row in rows] == [[1, 1], [2, 2], [3, 3]]
        assert handle.result()["points"] == ["1", "2", "3"]
        assert handle.status().state == "done" and handle.status().rows == 3

    def test_what_is_there_is_not_computed_again(self, executor, rows):
        executor.submit(Job("evaluate", {"recipes": [1, 2, 3], "have": ["1", "3"]})).result(10)
        assert [row["id"] for row in rows] == ["2"]

    def test_a_row_that_cannot_be_saved_fails_its_job_and_no_other(self, tmp_path, executor):
        def full(_: object) -> None:
            raise OSError(28, "No space left on device")

        with type(executor)(tmp_path, on_rows=full, service=STUB) as other:
            handle = other.submit(sweep(50))
            kinds = [event.kind for event in handle.events(10)]
            assert "result" not in kinds and kinds[-1] == "failed"
            with pytest.raises(JobFailed, match=r"could not be saved.*No space left"):
                handle.result()
            assert other.submit(Job("stream", {"words": 1})).result(10)

    def test_bad_input_keeps_its_problems(self, executor):
        with pytest.raises(BadInput, match="Did you mean helpful") as caught:
            executor.submit(Job("refuse")).result(10)
        assert caught.value.problems[0].where == "study.yaml:3"

    @pytest.mark.parametrize("kind", ["crash", "unsayable"])
    def test_a_fault_fails_its_job_and_no_other(self, executor, kind):
        failing = executor.submit(Job(kind, session="a"))
        other = executor.submit(Job("evaluate", {"recipes": [1]}, session="b"))
        with pytest.raises(JobFailed, match="Error"):
            failing.result(10)
        assert failing.status().failure == "error"
        assert other.result(10)["points"] == ["1"]

    @pytest.mark.parametrize("torch", [False, True])
    def test_memory_that_ran_out_fails_its_job_and_no_other(self, executor, torch):
        parked = executor.submit(sweep(20))
        until(lambda: parked.status().state == "running")
        failing = executor.submit(Job("exhaust", {"torch": torch}, session="a"))
        other = executor.submit(Job("evaluate", {"recipes": [1]}, session="b"))
        with pytest.raises(JobFailed, match="out of memory"):
            failing.result(10)
        assert failing.status().failure == "memory"
        assert other.result(20)["points"] == ["1"]
        parked.result(20)

    def test_a_running_job_is_cancelled_within_a_quantum(self, executor, rows):
        handle = executor.submit(
            Job("evaluate", {"recipes": list(range(9)), "steps": 1000, "seconds": 0.002})
        )
        until(lambda: handle.status().state == "running")
        start = time.monotonic()
        handle.cancel()
        with pytest.raises(Cancelled):
            handle.result(10)
        assert time.monotonic() - start < 1, "the first recipe alone takes two seconds"
        assert not rows

    def test_a_waiting_job_is_cancelled_at_once(self, executor):
        first = executor.submit(sweep(20))
        second = executor.submit(sweep(20))
        second.cancel()
        with pytest.raises(Cancelled):
            second.result(1)
        assert not first.status().over
        first.cancel()

    def test_of_a_session_the_latest_waits_and_others_wait_beside_it(self, executor):
        wait_until_ready(executor)
        running = executor.submit(Job("evaluate", {"recipes": [0], "steps": 100, "seconds": 0.003}))
        until(lambda: running.status().state == "running")
        mine = [executor.submit(Job("evaluate", {"recipes": [k]}, "mine")) for k in range(4)]
        other = executor.submit(Job("evaluate", {"recipes": [9]}, session="other"))
        assert running.result(10)["points"] == ["0"]
        for superseded in mine[:-1]:
            with pytest.raises(Cancelled, match="replaced by a newer"):
                superseded.result(10)
        assert mine[-1].result(10)["points"] == ["3"]
        assert other.result(10)["points"] == ["9"]

    def test_progress_is_thinned_and_its_last_comes(self, executor):
        wait_until_ready(executor)
        start = time.monotonic()
        events = list(executor.submit(sweep(100, steps=1, seconds=0.003)).events(10))
        progress = [event.data for event in events if event.kind == "progress"]
        assert len(progress) <= 10 * (time.monotonic() - start) + 2
        assert progress[-1] == {"done": 100, "total": 100}

    def test_texts_come_in_batches_and_the_last_is_whole(self, executor):
        wait_until_ready(executor)
        handle = executor.submit(Job("stream", {"words": 200}))
        start = time.monotonic()
        texts = [event.data["texts"]["0"] for event in handle.events(10) if event.kind == "text"]
        assert 2 < len(texts) <= (time.monotonic() - start) / 0.03 + 2
        assert texts == sorted(texts, key=len)
        assert texts[-1] == handle.result()["text"] == handle.status().texts[0]

    def test_the_first_text_is_waited_for_until_it_comes_or_will_not(self, executor):
        stream = executor.submit(Job("stream", {"words": 10_000}))
        begun = stream.first_text(10)
        assert begun.texts[0] and not begun.over
        stream.cancel()
        silent = executor.submit(sweep(1))
        assert silent.first_text(10).over and not silent.status().texts
        long = executor.submit(sweep(100))
        assert not long.first_text(0.05).texts and not long.status().over
        long.cancel()

    def test_a_parked_sweep_scores_as_an_undisturbed_one(self, executor, rows):
        executor.submit(sweep(15)).result(20)
        alone = {row["id"]: row["values"] for row in rows}
        rows.clear()
        handle = executor.submit(sweep(15))
        until(lambda: handle.status().state == "running")
        beside = []
        for index in itertools.count(100):
            beside.append(executor.submit(Job("evaluate", {"recipes": [index]})))
            beside[-1].result(10)
            if handle.status().over:
                break
        handle.result(20)
        assert len(beside) > 5
        assert {row["id"]: row["values"] for row in rows if int(row["id"]) < 100} == alone

    def test_a_slider_that_is_never_let_go_does_not_starve_the_sweep(self, executor):
        """Its exact share is held on a clock of its own in test_scheduler.py."""
        wait_until_ready(executor)
        stop = threading.Event()
        held = 0

        def hold() -> None:
            nonlocal held
            while not stop.is_set():
                job = Job("evaluate", {"recipes": [7], "steps": 5, "seconds": 0.01})
                executor.submit(job).result(10)
                held += 1

        holding = threading.Thread(target=hold)
        holding.start()
        try:
            executor.submit(sweep(30, steps=2)).result(30)
        finally:
            stop.set()
            holding.join()
        assert held > 5

    def test_an_interactive_job_does_not_wait_for_the_sweep(self, executor):
        handle = executor.submit(sweep(1000))
        until(lambda: handle.status().rows > 2)
        executor.submit(Job("evaluate", {"recipes": [7]})).result(10)
        until(lambda: handle.status().state == "running")
        assert handle.status().rows < 500
        handle.cancel()

    def test_a_service_that_cannot_start_fails_every_job_with_its_reason(self, tmp_path, executor):
        with type(executor)(tmp_path, device="nowhere", service=STUB) as other:
            for _ in range(2):
                with pytest.raises(BadInput, match="there is no 'nowhere'"):
                    other.submit(Job("evaluate", {"recipes": [1]})).result(20)

    def test_closing_cancels_what_is_left_and_is_final(self, tmp_path, executor):
        other = type(executor)(tmp_path, service=STUB)
        handles = [other.submit(sweep(1000)), other.submit(Job("evaluate", {"recipes": [1]}))]
        other.close()
        for handle in handles:
            assert handle.status().over or pytest.fail("left open")
        with pytest.raises(JobFailed, match="closed"):
            other.submit(sweep(1))
        assert other.state() == "stopped"

    def test_waiting_for_a_result_has_an_end(self, executor):
        handle = executor.submit(sweep(100))
        with pytest.raises(TimeoutError):
            handle.result(0.05)
        handle.cancel()


def test_nothing_on_the_app_side_imports_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, engine.jobs.local, engine.jobs.inline, engine.jobs.executor;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'numpy')))"
    )
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0


def test_a_payload_that_cannot_be_sent_is_refused_at_once(tmp_path: Path) -> None:
    with (
        InlineExecutor(tmp_path, service="tests.engine.jobs.stub_service:StubService") as engine,
        pytest.raises(BadInput, match="payload cannot be sent"),
    ):
        engine.submit(Job("generate", {"temperature": float("nan")}))
