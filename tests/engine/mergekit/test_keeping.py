"""What is kept of differences, beyond what the methods' own tests say."""

from __future__ import annotations

import pytest
import torch

from engine.mergekit import keeping
from engine.mergekit.method import Part


def test_a_random_method_without_lots_is_a_fault() -> None:
    with pytest.raises(ValueError, match="no lots"):
        keeping.by_lot(torch.ones(2), Part(torch.ones(2), {"density": 0.5}), "x")


@pytest.mark.parametrize(
    "keep", [keeping.largest, keeping.next_largest, keeping.by_lot, keeping.by_lot_and_rank]
)
def test_everything_is_kept_at_a_density_of_1(keep: object) -> None:
    values = {"density": 1.0, "gamma": 0.5, "epsilon": 0.1}
    assert callable(keep) and keep(torch.ones(2), Part(torch.ones(2), values), "x") is None


def test_empty_tensors_keep_nothing() -> None:
    empty = torch.zeros(0, 3)
    values = {"density": 0.5, "gamma": 0.1, "epsilon": 0.1}
    part = Part(empty, values, lambda: empty)
    for keep in (keeping.largest, keeping.next_largest, keeping.by_lot, keeping.by_lot_and_rank):
        kept = keep(empty, part, "x")
        assert kept is not None and kept.shape == empty.shape
