"""The clock of these tests."""

from __future__ import annotations

import pytest

from tests.engine.worker.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()
