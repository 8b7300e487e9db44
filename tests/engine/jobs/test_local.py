"""What only a worker process can suffer: a kill, a hang, a memory limit, the death of its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import Cancelled, JobFailed
from engine.jobs.executor import wait_until_ready
from engine.jobs.local import LocalExecutor
from engine.worker.messages import Job

STUB = "tests.engine.jobs.stub_service:StubService"
ROOT = Path(__file__).resolve().parents[3]


def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come to pass"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def executor(tmp_path: Path, rows: list[dict[str, Any]]) -> Iterator[LocalExecutor]:
    with LocalExecutor(tmp_path, on_rows=rows.extend, service=STUB) as made:
        yield made


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[LocalExecutor]:
    with LocalExecutor(tmp_path, service=STUB, hang_seconds=2.0) as made:
        yield made


def long_sweep(name: int = 0, count: int = 30) -> Job:
    recipes = list(range(name, name + count))
    return Job("sweep", {"recipes": recipes, "steps": 5, "seconds": 0.004}, "s", "sweep")


def pid_of(executor: LocalExecutor) -> int:
    wait_until_ready(executor)
    pid = executor.pid
    assert pid is not None
    return pid


def test_the_worker_starts_with_the_first_job(executor: LocalExecutor) -> None:
    assert executor.pid is None and executor.state() == "stopped"
    result = executor.submit(Job("evaluate", {"recipes": [1]})).result(20)
    assert result["pid"] == executor.pid != os.getpid()


def test_the_worker_is_nice_and_its_connection_is_nobody_elses(executor: LocalExecutor) -> None:
    executor.submit(Job("evaluate", {"recipes": [1]})).result(20)
    pid = pid_of(executor)
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
    assert b"OMP_WAIT_POLICY=PASSIVE" in Path(f"/proc/{pid}/environ").read_bytes()
    descriptor = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").rpartition(b"\0")[2]
    theirs = os.readlink(f"/proc/{pid}/fd/{int(descriptor)}")
    assert theirs.startswith("socket:")
    flags = Path(f"/proc/{pid}/fdinfo/{int(descriptor)}").read_text().split("flags:")[1].split()[0]
    assert int(flags, 8) & os.O_CLOEXEC, "what the worker starts would keep the connection open"
    ours = [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.exists()]
    assert theirs not in ours


def test_a_killed_worker_fails_its_job_and_no_other(
    executor: LocalExecutor, rows: list[dict[str, Any]]
) -> None:
    doomed, waiting = executor.submit(long_sweep(0)), executor.submit(long_sweep(100))
    until(lambda: doomed.status().rows >= 3)
    first = pid_of(executor)
    os.kill(first, signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(JobFailed, match="killed, probably out of memory") as caught:
        doomed.result(5)
    assert "lost until you request it again" in str(caught.value)  # nobody else does
    assert doomed.status().failure == "died"
    assert time.monotonic() - start < 2
    assert waiting.result(20)["points"] == [str(index) for index in range(100, 130)]
    assert executor.pid != first
    assert len({row["id"] for row in rows}) == len(rows), "a row was saved twice"


def test_a_job_that_kills_the_worker_spares_the_sweep_it_parked(
    executor: LocalExecutor, rows: list[dict[str, Any]]
) -> None:
    parked = executor.submit(long_sweep(0))
    until(lambda: parked.status().rows >= 3)
    killer = executor.submit(Job("die", {"code": 7}))
    with pytest.raises(JobFailed, match="exit code 7"):
        killer.result(10)
    parked.result(20)
    assert sorted(int(row["id"]) for row in rows) == list(range(30)), "lost, or evaluated twice"


def test_an_idle_worker_that_is_killed_is_ready_again_in_time(executor: LocalExecutor) -> None:
    executor.submit(Job("evaluate", {"recipes": [1]})).result(20)
    first = pid_of(executor)
    os.kill(first, signal.SIGKILL)
    start = time.monotonic()
    until(lambda: executor.state() == "idle" and executor.pid not in (None, first))
    assert time.monotonic() - start < 10
    assert executor.submit(Job("evaluate", {"recipes": [1]})).result(20)["pid"] == executor.pid


def test_a_stopped_worker_hangs(impatient: LocalExecutor) -> None:
    doomed, waiting = impatient.submit(long_sweep(0, 1000)), impatient.submit(long_sweep(100))
    until(lambda: doomed.status().state == "running")
    start = time.monotonic()
    os.kill(pid_of(impatient), signal.SIGSTOP)
    with pytest.raises(JobFailed, match="hung: no progress for 2 s"):
        doomed.result(10)
    assert doomed.status().failure == "hung"
    assert 1.9 < time.monotonic() - start < 10
    waiting.result(20)


def test_a_job_without_a_quantum_hangs_though_the_worker_talks(impatient: LocalExecutor) -> None:
    handle = impatient.submit(Job("stick"))
    with pytest.raises(JobFailed, match="hung"):
        handle.result(10)
    impatient.submit(Job("evaluate", {"recipes": [1]})).result(20)


def test_loading_may_take_longer_than_a_quantum(impatient: LocalExecutor) -> None:
    handle, first = impatient.submit(Job("load", {"seconds": 3.0})), pid_of(impatient)
    assert handle.result(10) == {} and handle.status().state == "done"
    assert impatient.pid == first  # not a second worker's answer


def test_a_worker_that_cannot_start_fails_every_job_and_tries_again_later(tmp_path: Path) -> None:
    with LocalExecutor(tmp_path, service="engine.jobs.nowhere:Service") as executor:
        for _ in range(2):
            with pytest.raises(JobFailed, match="nowhere"):
                executor.submit(long_sweep()).result(20)
    environment = {"PYTHONHOME": "/nowhere"}
    with LocalExecutor(tmp_path, service=STUB, environment=environment) as executor:
        with pytest.raises(JobFailed, match="did not start"):
            executor.submit(long_sweep()).result(20)
        assert executor.state() == "stopped"


OWNER = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from engine.jobs.local import LocalExecutor
from engine.worker.messages import Job
executor = LocalExecutor({str(ROOT)!r}, service={STUB!r})
handle = executor.submit(Job("evaluate", {{"recipes": [1], "steps": 10000, "seconds": 0.01}}))
while handle.status().state != "running":
    time.sleep(0.01)
print(executor.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_owner(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert alive(pid)
        owner.send_signal(how)
        owner.wait(10)
    until(lambda: not alive(pid), 3)


def test_closing_ends_the_worker_even_inside_a_step(executor: LocalExecutor) -> None:
    handle = executor.submit(Job("load", {"seconds": 60}))
    until(lambda: handle.status().state == "running")
    pid = pid_of_running(executor)
    executor.close()
    assert not alive(pid)
    assert handle.status().failure == "cancelled"


def pid_of_running(executor: LocalExecutor) -> int:
    until(lambda: executor.state() != "starting")
    assert executor.pid is not None
    return executor.pid


def test_a_job_that_was_cancelled_stays_so_where_the_worker_dies_with_the_message(
    executor: LocalExecutor,
) -> None:
    doomed, waiting = executor.submit(long_sweep(0, 1000)), executor.submit(long_sweep(100))
    until(lambda: doomed.status().rows >= 1)
    worker = pid_of(executor)
    os.kill(worker, signal.SIGSTOP)
    waiting.cancel()  # into a socket that nobody reads
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(JobFailed, match="killed"):
        doomed.result(10)
    with pytest.raises(Cancelled):
        waiting.result(10)
    assert waiting.status().rows == 0, "it ran after it was cancelled"
    assert "killed" in executor.ended()


def test_the_executor_says_why_the_worker_ended_and_not_what_a_job_said_last(
    tmp_path: Path,
) -> None:
    with LocalExecutor(tmp_path, service="engine.jobs.nowhere:Service") as executor:
        assert executor.ended() == ""
        first = executor.submit(Job("evaluate"))
        with pytest.raises(JobFailed):
            first.result(20)
        assert "nowhere" in executor.ended()
