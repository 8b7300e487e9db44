"""della: chances by rank, then lots, then signs."""

from __future__ import annotations

import pytest
import torch

from engine.errors import BadInput
from engine.mergekit import MERGES
from engine.mergekit.method import Inputs, Part


def found(model: torch.Tensor, lot: float, **values: float) -> torch.Tensor:
    own = {"weight": 1.0, "density": 0.5, "epsilon": 0.25, **values}
    part = Part(model, own, lambda: torch.full(model.shape, lot))
    return MERGES["della"](Inputs("x", torch.zeros_like(model), [part], {"rescale": False}))


def test_the_larger_a_difference_the_likelier_it_is_kept() -> None:
    model = torch.tensor([3.0, -1.0, 2.0])  # chances 0.75, 0.25, 0.5
    assert found(model, 0.2).tolist() == [3, -1, 2]
    assert found(model, 0.3).tolist() == [3, 0, 2]
    assert found(model, 0.6).tolist() == [3, 0, 0]
    assert found(model, 0.8).tolist() == [0, 0, 0]


def test_ranks_are_of_rows() -> None:
    model = torch.tensor([[1.0, 2.0], [40.0, 30.0]])
    assert found(model, 0.5).tolist() == [[0, 2], [40, 0]]


def test_a_row_of_one_element_has_the_chance_density() -> None:
    for model in (torch.tensor(2.0), torch.full((3, 1), 2.0)):
        assert (found(model, 0.49) == model).all() and not found(model, 0.51).any()


def test_chances_beyond_0_and_1_are_refused() -> None:
    with pytest.raises(BadInput, match="does not lie between"):
        found(torch.ones(2), 0.5, density=0.8)
    assert (found(torch.ones(2), 0.9, density=1.0) == 1).all()
    assert not found(torch.ones(2), 0.0, density=0.0).any()
