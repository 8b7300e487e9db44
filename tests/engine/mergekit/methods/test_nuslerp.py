"""nuslerp: by weights, of tensors or of vectors in them, about a base or none."""

from __future__ import annotations

import torch

from ..golden import merged

HALF = {"weight": 2.0}


def test_weights_that_are_equal_or_cancel_meet_half_way() -> None:
    one, other = torch.tensor([1.0, 0]), torch.tensor([0.0, 1])
    for first, second in ((2.0, 2.0), (1.0, -1.0)):
        got = merged("nuslerp", None, (one, {"weight": first}), (other, {"weight": second}))
        assert torch.allclose(got, torch.tensor([0.5, 0.5]).sqrt())


def test_a_base_is_where_the_arc_is_about() -> None:
    base = torch.tensor([10.0, 10.0])
    one, other = base + torch.tensor([1.0, 0]), base + torch.tensor([0.0, 1])
    got = merged("nuslerp", base, (one, HALF), (other, HALF))
    assert torch.allclose(got - base, torch.tensor([0.5, 0.5]).sqrt())


def test_vectors_lie_along_the_last_dimension_or_the_first() -> None:
    one, other = torch.eye(2), torch.eye(2).flip(0)
    rows = merged("nuslerp", None, (one, HALF), (other, HALF), nuslerp_flatten=False)
    assert torch.allclose(rows, torch.full((2, 2), 0.5).sqrt())
    one, other = torch.tensor([[1.0, 1.0], [0, 0]]), torch.tensor([[0.0, 0.0], [1, 1]])
    asked = {"nuslerp_flatten": False, "nuslerp_row_wise": True}
    columns = merged("nuslerp", None, (one, HALF), (other, HALF), **asked)
    assert torch.allclose(columns, torch.full((2, 2), 0.5).sqrt())


def test_models_equal_to_the_base_and_to_each_other() -> None:
    base = torch.randn(4)
    assert torch.equal(merged("nuslerp", base, (base, HALF), (base, HALF)), base)
    other = torch.randn(4)
    got = merged("nuslerp", base, (other, HALF), (other, HALF))
    assert torch.allclose(got, other)
