"""What the tests that kill processes and fill disks share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.jobs.small import build_small_study
from tests.faults.forks import Forks


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as found:
        yield found


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study, and six recipes of it beside it."""
    root = tmp_path_factory.mktemp("family")
    for k in range(6):
        text = f"method: task_arithmetic\ncoefficients: {{helpful: {0.1 + k / 8}}}\n"
        (root / f"recipe-{k}.yaml").write_text(text)
    return build_small_study(root)
