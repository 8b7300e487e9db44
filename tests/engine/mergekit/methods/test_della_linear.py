"""della_linear: della without signs and without dividing."""

from __future__ import annotations

import torch

from engine.mergekit import MERGES
from engine.mergekit.method import Inputs, Part


def test_opposite_signs_both_count_and_nothing_is_divided() -> None:
    values = {"weight": 1.0, "density": 0.5}
    parts = [
        Part(torch.tensor(each), values, lambda: torch.zeros(2)) for each in ([3.0, 1], [-1.0, 1])
    ]
    got = MERGES["della_linear"](Inputs("x", torch.zeros(2), parts))
    assert got.tolist() == [2, 2]
