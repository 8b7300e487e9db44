"""What is reckoned beforehand holds against the peak that is measured, and is near it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.merging.reckoned import RUNNING, write

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    write(place)
    return place


def measured(models: Path, case: str) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.merging.reckoned", str(models), case],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", ["dare of all", "tsv", *RUNNING])
def test_what_is_reckoned_is_enough_and_not_twice_as_much(models: Path, case: str) -> None:
    found = measured(models, case)
    assert found["kept"] < found["peak"] <= found["reckoned"] <= 2 * found["peak"]


def test_what_is_made_between_what_is_kept_does_not_hold_its_memory(models: Path) -> None:
    found = measured(models, "pcb")  # keeps a tenth of what the reckoning is for
    assert found["kept"] < found["peak"] < 0.4 * found["reckoned"]
