"""The loop for two models, against the same steps in torch."""

from __future__ import annotations

import pytest
import torch

from engine.mergekit import agreed
from engine.mergekit.differences import merged_differences
from engine.mergekit.keeping import largest
from engine.mergekit.method import Inputs, Part

VALUES = {"density": 0.4}


def inputs(dtype: torch.dtype, size: int, weights: tuple[float, float], normalize: bool) -> Inputs:
    random = torch.Generator().manual_seed(size)
    base, *models = (
        (torch.randn(size, generator=random) * 4).round().div(8).to(dtype) for _ in range(3)
    )
    parts = [
        Part(each, {**VALUES, "weight": weight}, None)
        for each, weight in zip(models, weights, strict=True)
    ]
    return Inputs("x", base, parts, {"normalize": normalize, "rescale": False, "lambda": 1.0})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("weights", [(0.7, 0.4), (1.0, -1.0), (0.0, 0.3), (0.5, 0.5)])
def test_every_bit_is_that_of_the_steps_in_torch(
    dtype: torch.dtype,
    normalize: bool,
    weights: tuple[float, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for size in (0, 1, 15, 16, 1000, 40_003):
        given = inputs(dtype, size, weights, normalize)
        got = merged_differences(given, largest, consensus=True)
        with monkeypatch.context() as patched:
            patched.setattr(agreed, "merge_two", lambda *_: None)
            wanted = merged_differences(given, largest, consensus=True)
        bits = torch.int32 if dtype == torch.float32 else torch.int16
        assert torch.equal(got.view(bits), wanted.view(bits)), size


def test_the_loop_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    made = torch.ones(5)
    monkeypatch.setattr(agreed, "merge_two", lambda *_: made)
    given = inputs(torch.float32, 5, (1.0, 1.0), True)
    assert merged_differences(given, largest, consensus=True).data_ptr() == made.data_ptr()


def test_what_is_not_contiguous_is_left_to_torch() -> None:
    base, mask = torch.zeros(8), torch.ones(4, dtype=torch.bool)
    every = (base[::2], [base[:4], base[:4]], [mask, mask], torch.ones(2), True)
    assert agreed.merge_two(*every) is None
