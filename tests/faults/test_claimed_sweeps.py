"""An app and two shells on one sweep, through kills: nothing is measured twice, and both shells
print every point."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from engine.search.designs import design
from engine.study import load_study
from tests.engine.jobs.small import build_small_study, single
from tests.faults.test_kills import ENVIRONMENT, ROOT, app, stored

SEED = 21
POINTS = 16
OBJECTIVES = 3

pytestmark = pytest.mark.faults


def shell(study: Path, workspace: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "engine", "sweep", str(study), "--method", "task_arithmetic"]
    options = ["--points", str(POINTS), "--strategy", "grid", "--device", "cpu", "--json"]
    where = ["--workspace", str(workspace), "--executor", "inline"]
    return subprocess.Popen(
        [*command, *options, *where],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def printed(out: bytes) -> list[str]:
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[-1] == {"done": True, "points": POINTS, "failed": 0}
    assert all(len(line["scores"]) == OBJECTIVES for line in lines[:-1])
    return [line["id"] for line in lines[:-1]]


def test_an_app_and_two_shells_share_one_sweep_through_kills(tmp_path: Path) -> None:
    """Killed: the app's worker, one of the shells, then the app."""
    chance, workspace = random.Random(SEED), tmp_path / "workspace"
    study = build_small_study(tmp_path / "family")
    swept = design(load_study(study), "task_arithmetic", POINTS, "grid")
    recipes = [single("base"), single("helpful"), *(each.as_dict() for each in swept)]
    payload = {"study": str(study), "recipes": recipes}
    options = {"service": None, "family": None, "payload": payload}
    shells = [shell(study, workspace) for _ in range(2)]
    try:
        with app(workspace, options) as running:
            worker = running.wait_for("worker")
            time.sleep(chance.uniform(0.0, 0.5))
            with contextlib.suppress(ProcessLookupError):  # the shells may have measured all
                os.kill(worker, signal.SIGKILL)
            assert shells[0].stdout is not None
            shells[0].stdout.readline()
            shells[0].kill()
            running.wait_for("ready", 2)
            running.process.kill()
        acknowledged = running.of("saved")
        shells.append(shell(study, workspace))
        with app(workspace, options) as running:
            outs = [each.communicate(timeout=150)[0] for each in shells[1:]]
            running.wait_for("done", seconds=150)
        acknowledged += running.of("saved")
    finally:
        for each in shells:
            each.kill()
            each.communicate()
    ids = [printed(out) for out in outs]
    assert set(ids[0]) == set(ids[1]) and all(len(set(each)) == POINTS for each in ids)
    counts = stored(workspace)
    assert set(acknowledged) <= set(counts), "acknowledged, and lost"
    assert counts == Counter(dict.fromkeys(counts, 1)), "measured twice"
    assert len(counts) == OBJECTIVES * (POINTS + 2)
    left = [each.name for each in (workspace / "claims").iterdir()]
    assert left == ["lock"], "claims of dead processes are left"
