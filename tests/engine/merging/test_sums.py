"""Sums in blocks against sums of whole tensors: the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from engine.merging import sums
from engine.merging.sums import Sum, Term, accumulate, joined, write

SIZES = (1, 15, 16, 17, 1000, (1 << 18) + 3)
TYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def spread(size: int, seed: int, dtype: torch.dtype) -> Tensor:
    """Numbers of many magnitudes, subnormal ones among them."""
    generator = torch.Generator().manual_seed(seed)
    exponents = torch.randint(-8, 3, (size,), generator=generator)
    values = torch.randn(size, generator=generator) * 10.0**exponents
    values[::7] *= 1e-33
    return values.to(dtype)


def whole(terms: Sequence[Term], dtype: torch.dtype, live: torch.dtype) -> Tensor:
    """One tensor-sized operation after another, each rounded to float32; then `dtype`, `live`."""
    (first, weight), *others = terms
    total = first.to(torch.float32) * weight
    for values, each in others:
        total = total + values.to(torch.float32) * each
    return total.to(dtype).to(live)


def same_bits(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.view(torch.uint8), other.view(torch.uint8))


def nothing() -> None: ...


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stored", TYPES)
@pytest.mark.parametrize("live", [torch.float32, torch.bfloat16, torch.float16])
def test_equals_the_sum_of_whole_tensors(size: int, stored: torch.dtype, live: torch.dtype) -> None:
    weights = (-0.7, 0.3, 1.0, 1.3)
    terms = tuple((spread(size, seed, stored), weight) for seed, weight in enumerate(weights))
    out = torch.full((size,), 9.0, dtype=live)
    assert write([Sum(0, size, terms)], out, stored, nothing)
    assert same_bits(out, whole(terms, stored, live))


def test_terms_of_different_types_are_added_in_their_order() -> None:
    mixed = zip(TYPES, (0.1, 0.9, -0.4, 2.0), strict=True)
    terms = tuple((spread(5000, at, dtype), weight) for at, (dtype, weight) in enumerate(mixed))
    for order in (terms, terms[::-1]):
        out = torch.empty(5000)
        assert write([Sum(0, 5000, order)], out, torch.bfloat16, nothing)
        assert same_bits(out, whole(order, torch.bfloat16, torch.float32))


def test_a_product_and_its_addition_are_rounded_apart() -> None:
    x = torch.tensor([1.0 + 2**-12])
    weight = 1.0 + 2**-12
    out = torch.empty(1)
    write([Sum(0, 1, ((torch.tensor([-1.0]), 1.0), (x, weight)))], out, torch.float32, nothing)
    product = float(torch.tensor(float(x) * weight))  # fused, 2^-24 would be left over
    assert out.item() == product - 1.0 != float(x) * weight - 1.0


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_number_of_threads_gives_the_same_bits(threads: int, dtype: torch.dtype) -> None:
    size = 3 * (1 << 18) + 77
    terms = tuple((spread(size, seed, dtype), 0.3 + seed) for seed in range(3))
    out = torch.empty(size)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert write([Sum(0, size, terms)], out, dtype, nothing)
    finally:
        torch.set_num_threads(before)
    assert same_bits(out, whole(terms, dtype, torch.float32))


@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("place", [0, 20, 999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_one_value_that_is_not_finite_is_seen(bad: float, place: int, dtype: torch.dtype) -> None:
    values = torch.ones(1000, dtype=dtype)
    out = torch.empty(1000)
    assert write([Sum(0, 1000, ((values, 1.5),))], out, dtype, nothing)
    values[place] = bad
    assert not write([Sum(0, 1000, ((values, 1.5),))], out, dtype, nothing)


@pytest.mark.parametrize("live", [torch.float32, torch.bfloat16])
def test_what_overflows_only_when_it_is_rounded_is_seen(live: torch.dtype) -> None:
    middle = torch.full((40,), (2 - 2**-8) * 2.0**127)  # between bfloat16's largest and infinity
    below = torch.nextafter(middle, torch.tensor(0.0))
    out = torch.empty(40, dtype=live)
    assert write([Sum(0, 40, ((below, 1.0),))], out, torch.bfloat16, nothing)
    assert not write([Sum(0, 40, ((middle, 1.0),))], out, torch.bfloat16, nothing)
    assert write([Sum(0, 40, ((middle, 1.0),))], torch.empty(40), torch.float32, nothing)


def test_no_term_gives_zeros_and_no_element_nothing() -> None:
    out = torch.full((20,), 9.0)
    assert write([Sum(3, 17, ())], out, torch.float32, nothing)
    assert out.tolist() == [9.0] * 3 + [0.0] * 17
    assert write([Sum(0, 0, ())], out[:0], torch.float32, nothing)


def test_terms_that_lie_in_several_tensors() -> None:
    ten = torch.arange(10.0)
    found = list(joined([([ten], 1.0), ([ten[:4], ten[4:]], 2.0), ([ten[:7], ten[7:]], 4.0)]))
    assert [(each.start, each.size) for each in found] == [(0, 4), (4, 3), (7, 3)]
    out = torch.empty(10)
    assert write(found, out, torch.float32, nothing)
    assert torch.equal(out, 7 * ten)


def test_values_are_added_where_they_lie() -> None:
    out, values = spread(70_001, 1, torch.float32), spread(70_001, 2, torch.float32)
    wanted = out + values * -0.3
    accumulate(out, values, -0.3)
    assert same_bits(out, wanted)


def test_parts_that_begin_anywhere_touch_nothing_else() -> None:
    values = spread(3000, 3, torch.bfloat16)
    wanted = whole(((values, 0.3),), torch.bfloat16, torch.bfloat16)
    for start, size in ((1, 1), (3, 70), (31, 2000)):
        out = torch.full((3000,), 9.0, dtype=torch.bfloat16)
        part = values[start : start + size]
        assert write([Sum(start, size, ((part, 0.3),))], out, torch.bfloat16, nothing)
        inner = slice(start, start + size)
        assert same_bits(out[inner], wanted[inner])
        assert int((out == 9.0).sum()) == 3000 - size


def test_a_cancel_comes_between_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Exception):
        pass

    ticks = iter((None, None, Stop()))

    def tick() -> None:
        if error := next(ticks):
            raise error

    monkeypatch.setattr(sums, "QUANTUM", 100)
    out = torch.zeros(1000)
    with pytest.raises(Stop):
        write([Sum(0, 1000, ((torch.ones(1000), 1.0),))], out, torch.float32, tick)
    assert int(out.sum()) == 300


class Largest(TorchDispatchMode):
    """Elements of the largest tensor that an operation makes of its own."""

    found = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and made._base is None and not func.is_view:
            self.found = max(self.found, made.untyped_storage().nbytes() // made.itemsize)
        return made


@pytest.mark.parametrize("stored", TYPES)
def test_nothing_of_the_result_s_size_is_allocated(stored: torch.dtype) -> None:
    size = 1 << 20
    terms = tuple((spread(size, seed, stored), 0.5) for seed in range(2))
    out = torch.empty(size)
    with Largest() as largest:
        write([Sum(0, size, terms)], out, stored, nothing)
    assert 0 <= largest.found <= 1 << 18
