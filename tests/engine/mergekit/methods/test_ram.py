"""ram: own changes whole, shared ones averaged."""

from __future__ import annotations

import torch

from ..golden import merged


def test_own_changes_are_added_and_shared_ones_averaged() -> None:
    base = torch.zeros(3)
    got = merged("ram", base, (torch.tensor([2.0, 0, 1e-6]), {}), (torch.tensor([4.0, 6, 0]), {}))
    assert got.tolist() == [3, 6, 0]  # a change of 1e-6 is none
