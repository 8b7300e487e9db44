"""A shell's sweep that was killed stands in the app as interrupted, and is resumed there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.commands.session import Session
from studio.sweeps import queue as sweeping
from studio.sweeps.sweep import there
from studio.sweeps.words import past_rows
from tests.engine.jobs.small import build_small_study
from tests.faults.test_kills import ENVIRONMENT, ROOT

POINTS = 40

pytestmark = pytest.mark.faults


def test_a_killed_sweep_of_a_shell_is_resumed_in_the_app(tmp_path: Path) -> None:
    study, home = build_small_study(tmp_path / "family"), tmp_path / "workspace"
    command = [sys.executable, "-m", "engine", "sweep", str(study), "--method", "linear"]
    options = ["--points", str(POINTS), "--executor", "inline", "--objectives", "has", "--json"]
    shell = subprocess.Popen(
        [*command, *options, "--workspace", str(home)],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    given = SimpleNamespace(study=study, workspace=home, device="cpu", compute_dtype=None)
    with Session(given) as bench:
        assert shell.stdout is not None and shell.stdout.readline()
        bench.store.refresh()
        bench.open()
        queue = sweeping.queue(bench)
        assert queue is not None
        [running] = queue.elsewhere
        assert (running.state, running.count) == ("running", POINTS)
        assert past_rows(queue) == [] and queue.resumable == []
        shell.kill()
        shell.communicate()
        sweeping.advance(bench)
        assert queue.elsewhere == [] and queue.resumable == [running]
        assert past_rows(queue)[0]["state"] == "interrupted"
        before = there(bench, running)
        assert 0 < before < POINTS
        sweeping.resume(bench, running)
        limit = time.monotonic() + 60
        while running.state == "running":
            assert time.monotonic() < limit
            sweeping.finish(bench, running, 1.0)
        assert running.state == "done" and there(bench, running) == POINTS
