"""kill −9 of the worker and of the app at twenty random moments of a sweep, and beside a shell's
sweep.

No acknowledged row is lost, no row is evaluated twice, and the worker is ready again in time.
Acknowledged: reported by the app's process, which it does after the journal is on disk.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cache.store import Store
from tests.engine.jobs.small import build_small_study, recipe
from tests.faults.paced_service import FAMILY, HELD, row_id

ROOT = Path(__file__).resolve().parents[2]
PACED = "tests.faults.paced_service:PacedService"
SEED = 20
COUNT = 300
"""Recipes of the app's sweep: so many that it is under way at each kill."""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}

pytestmark = pytest.mark.faults


class App:
    """One run of `sweeping_app`, read line by line in the background."""

    def __init__(self, workspace: Path, options: dict[str, Any]) -> None:
        command = [sys.executable, "-m", "tests.faults.sweeping_app", str(workspace)]
        self.process = subprocess.Popen(
            [*command, json.dumps(options)],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.lines: list[dict[str, Any]] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith(b"\n"):  # the last may be torn by the kill
                self.lines.append(json.loads(line))

    def of(self, key: str) -> list[Any]:
        return [line[key] for line in list(self.lines) if key in line]

    def wait_for(self, key: str, count: int = 1, seconds: float = 120.0) -> Any:
        limit = time.monotonic() + seconds
        while len(self.of(key)) < count:
            assert time.monotonic() < limit, f"no {key!r} in {self.lines[-5:]}"
            assert self.process.poll() is None or self.of("done"), "the app ended by itself"
            if self.of("done") and key != "done":
                return None
            time.sleep(0.002)
        return self.of(key)[count - 1]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def unfinished(workspace: Path) -> Iterator[None]:
    """While this is entered, no paced sweep comes to its end, however long the machine takes."""
    held = workspace / HELD
    held.touch()
    yield
    held.unlink()


@contextmanager
def app(workspace: Path, options: dict[str, Any]) -> Iterator[App]:
    running = App(workspace, options)
    try:
        yield running
    finally:
        running.end()


def stored(workspace: Path) -> Counter[str]:
    """How often each score row was ever written."""
    with Store.open(workspace) as store:
        rows = store._follower.query("SELECT id FROM rows WHERE kind = 'score'", [])
    return Counter(rows["id"])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def in_time() -> float:
    """Ten seconds on a machine that is free; as many times that as processes wait for each core."""
    return 10.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def paced(count: int) -> dict[str, Any]:
    points = [f"{index:012x}" for index in range(count)]
    return {"service": PACED, "family": FAMILY, "payload": {"recipes": points}}


def test_the_worker_is_killed_at_twelve_moments(tmp_path: Path) -> None:
    chance, options, restarts = random.Random(SEED), paced(900), []
    with app(tmp_path, options) as running:
        with unfinished(tmp_path):
            for kill in range(12):
                worker = running.wait_for("worker", kill + 1)
                time.sleep(chance.uniform(0.0, 0.4))
                os.kill(worker, signal.SIGKILL)
                start = time.monotonic()
                running.wait_for("ready", kill + 2)
                restarts.append(time.monotonic() - start)
        running.wait_for("done")
        assert len(running.of("failed")) == 12
        assert all("killed" in each for each in running.of("failed"))
        acknowledged = running.of("saved")
    wanted = {row_id(each) for each in options["payload"]["recipes"]}
    assert set(acknowledged) == wanted and len(acknowledged) == len(wanted)
    assert stored(tmp_path) == Counter(wanted), "lost, or evaluated twice"
    assert max(restarts) < in_time(), restarts


def test_the_app_is_killed_at_eight_moments(tmp_path: Path) -> None:
    chance, options = random.Random(SEED), paced(700)
    acknowledged: list[str] = []
    for kill in range(8):
        with unfinished(tmp_path), app(tmp_path, options) as running:
            worker = running.wait_for("worker")
            if kill % 4:
                running.wait_for("saved")
            time.sleep(chance.uniform(0.0, 0.3))
            running.process.kill()
        acknowledged += running.of("saved")
        limit = time.monotonic() + 5
        while alive(worker):
            assert time.monotonic() < limit, "the worker outlived the app"
            time.sleep(0.01)
        if kill % 4 == 3:
            assert not set(acknowledged) - set(stored(tmp_path)), "acknowledged, and lost"
    with app(tmp_path, options) as running:
        running.wait_for("done")
    acknowledged += running.of("saved")
    assert len(acknowledged) == len(set(acknowledged)), "evaluated twice"
    wanted = {row_id(each) for each in options["payload"]["recipes"]}
    assert set(acknowledged) <= wanted
    assert stored(tmp_path) == Counter(wanted), "lost, or evaluated twice"


@contextmanager
def shell_sweep(study: Path, workspace: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A sweep of another method in a shell, on the app's workspace; killed at the end."""
    command = [sys.executable, "-m", "engine", "sweep", str(study), "--method", "linear"]
    options = ["--points", "9", "--strategy", "grid", "--device", "cpu", "--json"]
    with subprocess.Popen(
        [*command, *options, "--workspace", str(workspace)],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_models_are_swept_by_app_and_shell_through_kills(tmp_path: Path) -> None:
    """The real service: two kills of its worker, one of the app, one of the sweep in the shell."""
    chance, workspace = random.Random(SEED), tmp_path / "workspace"
    study = build_small_study(tmp_path / "family")
    recipes = [recipe(helpful=round(index / COUNT, 4)) for index in range(COUNT)]
    payload = {"study": str(study), "recipes": recipes}
    options = {"service": None, "family": None, "payload": payload}
    acknowledged: list[str] = []
    points: set[str] = set()
    restarts = []
    with shell_sweep(study, workspace) as shell, app(workspace, options) as running:
        for kill in range(2):
            worker = running.wait_for("worker", kill + 1)
            running.wait_for("saved", 15 * (kill + 1))
            time.sleep(chance.uniform(0.0, 0.3))
            os.kill(worker, signal.SIGKILL)
            start = time.monotonic()
            running.wait_for("ready", kill + 2)
            restarts.append(time.monotonic() - start)
        running.wait_for("saved", 60)
        running.process.kill()
        assert shell.stdout is not None
        points |= {json.loads(shell.stdout.readline()).get("id") for _ in range(3)}
    acknowledged += running.of("saved")
    assert not set(acknowledged) - set(stored(workspace)), "acknowledged, and lost"
    with app(workspace, options) as running, shell_sweep(study, workspace) as again:
        out, _ = again.communicate(timeout=150)
        running.wait_for("done", seconds=150)
    acknowledged += running.of("saved")
    lines = [json.loads(line) for line in out.splitlines()]
    assert again.returncode == 0 and lines[-1]["done"] and lines[-1]["failed"] == 0
    assert points <= {line.get("id") for line in lines}, "printed, and lost"
    assert len(acknowledged) == len(set(acknowledged)), "evaluated twice"
    counts = stored(workspace)
    assert set(acknowledged) <= set(counts)
    assert set(counts.values()) == {1}, "evaluated twice"
    # the app's recipes, 9 and the two single models in the shell, three objectives
    assert len(counts) == 3 * (COUNT + 9 + 2)
    assert max(restarts) < in_time(), restarts
