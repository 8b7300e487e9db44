"""multislerp: means on the sphere, and where there is none."""

from __future__ import annotations

import pytest
import torch

from engine.errors import BadInput

from ..golden import merged

ONE = {"weight": 1.0}


def test_the_mean_of_three_axes_keeps_their_length() -> None:
    axes = torch.eye(3) * 2
    got = merged("multislerp", None, *((axis, ONE) for axis in axes))
    assert torch.allclose(got, torch.full((3,), 2 / 3**0.5))


def test_one_model_is_taken_as_it_is() -> None:
    model = torch.randn(3)
    assert merged("multislerp", torch.randn(3), (model, {"weight": 0.2})) is model


def test_a_model_equal_to_the_base_has_no_direction() -> None:
    base, other = torch.zeros(2), torch.tensor([0.0, 4.0])
    got = merged("multislerp", base, (base, ONE), (other, ONE))
    assert torch.allclose(got, torch.tensor([0.0, 2.0]))


def test_two_opposite_models_are_averaged_and_three_that_cancel_refused() -> None:
    one = torch.tensor([1.0, 0.0])
    assert torch.equal(merged("multislerp", None, (one, ONE), (-one, ONE)), torch.zeros(2))
    with pytest.raises(BadInput, match="cancel"):
        merged("multislerp", None, (one, ONE), (-one, {"weight": 2.0}), (one, ONE))


def test_models_that_all_are_the_base_give_it() -> None:
    base = torch.randn(3)
    assert torch.equal(merged("multislerp", base, *[(base, ONE)] * 3), base)


def test_weights_that_sum_to_nothing_are_refused() -> None:
    with pytest.raises(BadInput, match="sum to 0"):
        merged("multislerp", None, (torch.ones(2), ONE), (torch.ones(2), {"weight": -1.0}))


def test_float16_divides_by_no_length_of_nothing() -> None:
    base = torch.randn(5).half()
    got = merged("multislerp", base, (base, ONE), (base + 1, ONE), (base + 1, ONE))
    assert got.isfinite().all()
