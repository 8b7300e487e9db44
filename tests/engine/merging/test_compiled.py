"""Loops of machine code, called with addresses."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from engine.merging.compiled import INFINITY, LANES, loop

TYPES = (torch.float32, torch.bfloat16, torch.float16)


def run(values: Tensor, weight: float, dtype: torch.dtype, out: Tensor) -> int:
    compiled = loop([values.dtype], dtype, out.dtype)
    assert compiled is not None
    return compiled(len(out), values.data_ptr(), weight, out.data_ptr())


@pytest.mark.parametrize(("rounded", "live"), list(itertools.product(TYPES, TYPES)))
def test_every_bfloat16_times_a_weight_is_rounded_as_torch_does(
    rounded: torch.dtype, live: torch.dtype
) -> None:
    """All 2^16 numbers, subnormal ones, infinities and NaNs among them."""
    values = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int16).view(torch.bfloat16)
    out = torch.empty(len(values), dtype=live)
    assert run(values, 1.2345, rounded, out) > INFINITY
    wanted = (values.float() * torch.tensor(1.2345)).to(rounded).to(live)
    number = ~wanted.isnan()
    assert torch.equal(out.isnan(), ~number)
    assert torch.equal(out[number].view(torch.uint8), wanted[number].view(torch.uint8))


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_is_read_exactly(dtype: torch.dtype) -> None:
    bits = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int16)
    values = bits.float() if dtype == torch.float32 else bits.view(dtype)
    values = values[values.isfinite()]
    out = torch.empty(len(values))
    largest = run(values, 1.0, torch.float32, out)
    assert torch.equal(out, values.float())
    assert largest == int(values.float().abs().max().view(torch.int32))


@pytest.mark.parametrize("offset", [1, 2, 3, 5])
def test_a_file_s_tensor_may_lie_at_any_address(offset: int) -> None:
    wanted = torch.randn(100, generator=torch.Generator().manual_seed(0))
    memory = torch.zeros(500, dtype=torch.uint8)
    memory[offset : offset + 400] = wanted.view(torch.uint8)
    out = torch.empty(100)
    compiled = loop([torch.float32], torch.float32, torch.float32)
    assert compiled is not None
    compiled(100, memory.data_ptr() + offset, 1.0, out.data_ptr())
    assert torch.equal(out, wanted)


@pytest.mark.parametrize("size", [0, 1, LANES - 1, LANES, LANES + 1, 5 * LANES + 7])
def test_no_element_more_or_less_is_written(size: int) -> None:
    out = torch.full((10 * LANES,), 9.0)
    compiled = loop([torch.float32] * 2, torch.float32, torch.float32)
    assert compiled is not None
    ones = torch.ones(10 * LANES)
    found = compiled(size, ones.data_ptr(), ones.data_ptr(), 1.0, 2.0, out.data_ptr())
    assert out.tolist() == [3.0] * size + [9.0] * (10 * LANES - size)
    assert found == (int(torch.tensor(3.0).view(torch.int32)) if size else 0)


def test_a_weight_beyond_float32_is_infinite() -> None:
    assert run(torch.ones(3), 1e300, torch.float32, torch.empty(3)) == INFINITY


def test_other_types_have_no_loop() -> None:
    for types in ([torch.float64], [torch.float32, torch.float64]):
        assert loop(types, torch.float32, torch.float32) is None
    assert loop([torch.float32], torch.float64, torch.float32) is None
    assert loop([torch.float32], torch.float32, torch.float64) is None
