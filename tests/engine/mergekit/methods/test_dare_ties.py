"""dare_ties: lots first, then signs."""

from __future__ import annotations

import torch

from engine.mergekit import MERGES
from engine.mergekit.method import Inputs, Part


def test_what_was_dropped_elects_no_sign() -> None:
    values = {"weight": 1.0, "density": 0.5}
    up = Part(torch.tensor([5.0, 5.0]), values, lambda: torch.tensor([0.9, 0.1]))
    down = Part(torch.tensor([-1.0, -1.0]), values, lambda: torch.tensor([0.1, 0.1]))
    inputs = Inputs("x", torch.zeros(2), [up, down], {"rescale": False})
    assert MERGES["dare_ties"](inputs).tolist() == [-1, 5]
