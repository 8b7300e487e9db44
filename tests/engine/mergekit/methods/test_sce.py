"""sce: weights by size, elements by spread, signs."""

from __future__ import annotations

import torch

from ..golden import merged


def test_larger_differences_weigh_more() -> None:
    base = torch.zeros(1)
    got = merged("sce", base, (torch.ones(1), {}), (torch.full((1,), 3.0), {}))
    assert torch.allclose(got, torch.tensor([0.1 * 1 + 0.9 * 3]))


def test_differences_below_a_thousandth_weigh_alike() -> None:
    base = torch.zeros(1)
    got = merged("sce", base, (torch.full((1,), 1e-4), {}), (torch.full((1,), 3e-4), {}))
    assert torch.allclose(got, torch.tensor([2e-4]))


def test_only_where_models_differ_most_and_the_sign_wins() -> None:
    base = torch.zeros(3)
    one, other = torch.tensor([1.0, 5.0, 2.0]), torch.tensor([1.5, -1.0, 2.0])
    got = merged("sce", base, (one, {}), (other, {}), select_topk=0.5)
    assert got.tolist() == [0, 5, 0]  # of two elements that differ, the one that differs most


def test_one_model_has_no_spread() -> None:
    base, model = torch.zeros(3), torch.ones(3)
    assert torch.equal(merged("sce", base, (model, {})), model)
    assert torch.equal(merged("sce", base, (model, {}), select_topk=0.5), base)
    assert torch.equal(merged("sce", base), base)
