"""What holds for every method of mergekit, whatever it computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from engine.mergekit import MERGES
from engine.mergekit.method import Inputs, Merge, Part

GIVEN: dict[str, Any] = {"weight": 0.5, "density": 0.5, "t": 0.25}

every = pytest.mark.parametrize("method", MERGES)


def inputs_of(merge: Merge, dtype: torch.dtype = torch.float32, equal: int = 0) -> Inputs:
    """A base and three models at most, the first `equal` of which are the base."""
    drawn = torch.Generator().manual_seed(7)
    base = torch.randn(4, 6, generator=drawn).to(dtype)
    count = min(3, merge.most or 3)
    parts = []
    for which in range(count):
        change = torch.randn(4, 6, generator=drawn) * (which >= equal)
        lots = torch.rand(4, 6, generator=drawn)
        values = {each.name: GIVEN[each.name] for each in merge.each if each.name in GIVEN}
        parts.append(Part((base + change).to(dtype), values, lambda lots=lots: lots))
    values = {each.name: GIVEN[each.name] for each in merge.shared if each.name in GIVEN}
    return Inputs("x", None if merge.base == "plain" else base, parts, values)


@every
def test_the_order_of_models_does_not_matter(method: str) -> None:
    merge = MERGES[method]
    inputs = inputs_of(merge)
    turned = replace(inputs, models=list(reversed(inputs.models)))
    assert torch.allclose(merge(inputs), merge(turned), atol=1e-5)


@every
def test_a_result_is_one(method: str) -> None:
    merge = MERGES[method]
    assert torch.equal(merge(inputs_of(merge)), merge(inputs_of(merge)))


@every
def test_models_equal_to_the_base_leave_the_others_merged(method: str) -> None:
    merge = MERGES[method]
    for equal in (1, 2, 3):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            inputs = inputs_of(merge, dtype, equal)
            got = merge(inputs)
            assert got.isfinite().all()
            if inputs.base is not None and equal >= len(inputs.models):
                assert torch.allclose(got.to(dtype), inputs.base, atol=1e-6)


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_type_is_that_of_the_models(method: str, dtype: torch.dtype) -> None:
    merge = MERGES[method]
    widened = torch.promote_types(dtype, torch.float32)
    wanted = widened if method in ("arcee_fusion", "ramplus_tl") else dtype
    assert merge.result_dtype(dtype) == wanted
    assert merge(inputs_of(merge, dtype)).dtype == wanted


@every
def test_tensors_need_not_be_contiguous(method: str) -> None:
    merge = MERGES[method]
    inputs = inputs_of(merge)
    strided = replace(
        inputs,
        base=None if inputs.base is None else inputs.base.T.contiguous().T,
        models=[replace(each, tensor=each.tensor.T.contiguous().T) for each in inputs.models],
    )
    assert torch.allclose(merge(inputs), merge(strided), atol=1e-6)
