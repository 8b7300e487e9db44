"""karcher: the mean on the sphere of models that count alike."""

from __future__ import annotations

import torch

from ..golden import merged


def test_the_mean_of_two_directions_at_the_mean_length() -> None:
    got = merged("karcher", None, (torch.tensor([2.0, 0]), {}), (torch.tensor([0.0, 4]), {}))
    assert torch.allclose(got, torch.tensor([4.5, 4.5]).sqrt())


def test_weights_are_not_read() -> None:
    one, other = torch.randn(4), torch.randn(4)
    plain = merged("karcher", None, (one, {}), (other, {}))
    assert torch.equal(merged("karcher", None, (one, {"weight": 9.0}), (other, {})), plain)


def test_a_zero_tensor_has_no_direction_but_a_length() -> None:
    one = torch.tensor([3.0, 4.0])
    got = merged("karcher", None, (one, {}), (torch.zeros(2), {}))
    assert torch.allclose(got, one / 2)
    assert not merged("karcher", None, (torch.zeros(2), {}), (torch.zeros(2), {})).any()


def test_one_model_and_opposite_ones() -> None:
    one = torch.tensor([3.0, 4.0])
    assert merged("karcher", None, (one, {})) is one
    assert merged("karcher", None, (one, {}), (-one, {})).isfinite().all()
