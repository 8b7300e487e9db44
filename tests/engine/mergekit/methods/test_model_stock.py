"""model_stock: how far from the base, by how alike the differences are."""

from __future__ import annotations

import torch

from ..golden import merged


def test_models_that_agree_are_averaged_and_ones_at_right_angles_are_not_followed() -> None:
    base, model = torch.zeros(2), torch.tensor([1.0, 0.0])
    assert torch.allclose(merged("model_stock", base, (model, {}), (model, {})), model)
    got = merged("model_stock", base, (model, {}), (torch.tensor([0.0, 1.0]), {}))
    assert torch.equal(got, base)


def test_sixty_degrees_go_two_thirds_of_the_way() -> None:
    base, one = torch.zeros(2), torch.tensor([1.0, 0.0])
    other = torch.tensor([0.5, 0.75**0.5])
    got = merged("model_stock", base, (one, {}), (other, {}))
    assert torch.allclose(got, (one + other) / 2 * (2 / 3))


def test_opposite_models_stay_at_the_base() -> None:
    base, model = torch.randn(4), torch.randn(4)
    got = merged("model_stock", base, (base + model, {}), (base - model, {}))
    assert torch.allclose(got, base)


def test_rows_by_themselves() -> None:
    base = torch.zeros(2, 2)
    one, other = torch.tensor([[1.0, 0], [1, 0]]), torch.tensor([[1.0, 0], [0, 1]])
    got = merged("model_stock", base, (one, {}), (other, {}), filter_wise=True)
    assert got.tolist() == [[1, 0], [0, 0]]


def test_a_tensor_that_barely_moved_stays_at_the_base() -> None:
    base, model = torch.zeros(2), torch.tensor([1e-5, 0.0])
    got = merged("model_stock", base, (model, {}), (model, {}))
    assert 0 < got[0] < 1e-8  # the product of norms counts as 1e-6, not 1e-10
