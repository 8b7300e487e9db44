"""Places in an order, against the sort they stand for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.mergekit import order


def sorted_mask(values: torch.Tensor, start: int, stop: int, descending: bool) -> torch.Tensor:
    found = torch.zeros(values.numel(), dtype=torch.bool)
    found[torch.argsort(values.flatten(), descending=descending)[start:stop]] = True
    return found.view(values.shape)


@given(
    values=st.lists(st.integers(-3, 3), max_size=200).map(torch.FloatTensor),
    cut=st.tuples(st.integers(0, 200), st.integers(0, 200)).map(sorted),
    descending=st.booleans(),
)
def test_equal_values_stand_where_the_sort_puts_them(
    values: torch.Tensor, cut: list[int], descending: bool
) -> None:
    got = order.between(values, *cut, descending=descending)
    assert torch.equal(got, sorted_mask(values, *cut, descending))


@pytest.mark.parametrize("block", [4, 64, 1 << 14])
@pytest.mark.parametrize("kind", ["coarse", "bfloat16", "equal", "rising", "falling", "distinct"])
def test_any_block_gives_the_same(block: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "_BLOCK", block)
    values = torch.randn(3000, generator=torch.Generator().manual_seed(block))
    values = {
        "coarse": values.mul(4).round().abs(),
        "bfloat16": values.bfloat16().float(),
        "equal": torch.zeros(3000),
        "rising": torch.arange(3000.0),
        "falling": torch.arange(3000.0).flip(0),
        "distinct": values,
    }[kind]
    for start, stop in ((0, 1), (0, 700), (700, 701), (1500, 3000), (10, 2900)):
        for descending in (False, True):
            got = order.between(values, start, stop, descending=descending)
            assert torch.equal(got, sorted_mask(values, start, stop, descending)), (start, stop)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("odd", [None, -1.0, -0.0, float("inf"), float("nan"), 1e-7])
def test_sixteen_bits_are_ordered_as_their_float32(dtype: torch.dtype, odd: float | None) -> None:
    values = torch.randn(3000, generator=torch.Generator().manual_seed(7)).to(dtype).abs()
    if odd is not None:
        values[5:9] = odd
    for start, stop in ((0, 2), (0, 700), (700, 1701), (2998, 3000)):
        for descending in (False, True):
            got = order.between(values, start, stop, descending=descending)
            wanted = sorted_mask(values.float(), start, stop, descending)
            assert torch.equal(got, wanted), (start, stop)


def test_values_that_split_badly_are_sorted() -> None:
    """Against the median of three: each split takes two elements off."""
    count = 400
    half = count // 2
    killer = torch.empty(count)
    for at in range(half):
        killer[at] = at + 1 if at % 2 == 0 else half + at + (half % 2 == 0)
        killer[half + at] = 2 * (at + 1)
    with pytest.raises(order._Uneven):
        order._arranged(killer.numpy().copy(), (100,))
    assert torch.equal(order.between(killer, 0, 100), sorted_mask(killer, 0, 100, False))
    for values in (killer, killer.half(), -killer):
        for descending in (False, True):
            wanted = sorted_mask(values.float(), 0, 100, descending)
            got = order.between(values.clone(), 0, 100, descending=descending, spoil=True)
            assert torch.equal(got, wanted)


def test_nan_stands_where_the_sort_puts_it() -> None:
    values = torch.tensor([2.0, float("nan"), 1.0, 3.0])
    for descending in (False, True):
        got = order.between(values, 0, 1, descending=descending)
        assert torch.equal(got, sorted_mask(values, 0, 1, descending))


def test_nothing_all_and_places_beyond_the_end() -> None:
    values = torch.randn(2, 3)
    assert not order.between(values, 2, 2).any()
    assert order.between(values, -1, 9).all()
    assert order.between(torch.zeros(0), 0, 3).shape == (0,)
    assert order.between(torch.tensor(4.0), 0, 1).item() is True
