"""`suggest` by BoTorch's processes, where the extra is installed (requirements-bo.txt)."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("botorch")

from engine.search.gp import by_processes
from engine.search.suggest import DRAWS, suggest
from tests.engine.search.test_suggest import GOALS, arm, nothing, spread, truth


def test_draws_know_the_truth_near_points_and_the_batch_is_repeatable() -> None:
    known, new = arm(spread(20)), spread(50, 9)
    drawn = by_processes(known, GOALS, new, np.random.default_rng(0))
    assert drawn.shape == (DRAWS, 50, 2)
    assert np.abs(np.median(drawn, axis=0) - truth(new)).mean() < 0.05
    found = suggest([known], nothing(), GOALS, 3, (0, 20), by_processes)
    assert found == suggest([known], nothing(), GOALS, 3, (0, 20), by_processes)
    assert len(found.positions) == 3 and found.gain and found.gain > 0
