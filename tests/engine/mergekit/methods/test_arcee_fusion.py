"""arcee_fusion: important changes, by quartiles of the whole tensor."""

from __future__ import annotations

import torch

from engine.mergekit.methods.arcee_fusion import _quartiles

from ..golden import merged


def test_the_one_change_that_matters_is_taken() -> None:
    base = torch.zeros(8, 4)
    other = base + 0.01 * torch.arange(32.0).view(8, 4)
    other[3, 1] = 5.0
    got = merged("arcee_fusion", base, (other, {}))
    assert got[3, 1] == 5.0 and torch.equal(got[:3], base[:3]) and torch.equal(got[4:], base[4:])


def test_models_that_are_the_base_give_it() -> None:
    base = torch.randn(3, 4)
    assert torch.equal(merged("arcee_fusion", base, (base.clone(), {})), base)
    empty = torch.zeros(0, 4)
    assert torch.equal(merged("arcee_fusion", empty, (empty, {})), empty)


def test_quartiles_are_elements_of_the_order() -> None:
    for count in (1, 2, 5, 100, 103):
        values = torch.randperm(count).float()
        places = [int(share * (count - 1)) for share in (0.25, 0.5, 0.75)]
        assert [int(each) for each in _quartiles(values)] == places


def test_a_large_tensor_has_one_result() -> None:
    """mergekit draws a million of its elements, anew each time."""
    values = torch.rand(1_000_001)
    before = torch.get_rng_state()
    one, other = _quartiles(values), _quartiles(values)
    assert one == other and torch.equal(torch.get_rng_state(), before)


def test_16_bit_models_give_float32() -> None:
    base = torch.randn(3, 4).bfloat16()
    assert merged("arcee_fusion", base, (base + 1, {})).dtype == torch.float32
