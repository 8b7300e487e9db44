"""What the methods on weighted differences have in common."""

from __future__ import annotations

import pytest
import torch

from engine.mergekit import differences
from engine.mergekit.differences import merged_differences, summed
from engine.mergekit.method import Inputs, Part

VALUES = {"normalize": False, "rescale": True, "lambda": 1.0}


def kept(model: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    inputs = Inputs("x", torch.zeros_like(model), [Part(model, {"weight": 1.0})], VALUES)
    return merged_differences(inputs, lambda *_: mask)


def test_what_is_kept_has_the_old_sum_of_magnitudes() -> None:
    got = kept(torch.tensor([1.0, -3.0]), torch.tensor([True, False]))
    assert got.tolist() == [4, 0]


def test_nothing_is_scaled_by_nothing() -> None:
    assert not kept(torch.ones(2), torch.zeros(2, dtype=torch.bool)).any()
    assert not kept(torch.zeros(2), torch.ones(2, dtype=torch.bool)).any()


def test_a_sum_beyond_float16_scales_too() -> None:
    model = torch.full((4000,), 50.0).half()
    got = kept(model, torch.arange(4000) < 2000)
    assert got.isfinite().all() and got.float().sum() == model.float().sum()


def test_divides_by_the_weights_that_count() -> None:
    parts = [Part(torch.tensor([each]), {"weight": 0.5}) for each in (2.0, 4.0, -1.0)]
    inputs = Inputs("x", torch.zeros(1), parts, VALUES | {"normalize": True, "lambda": 2.0})
    assert merged_differences(inputs, consensus=True).item() == 6.0
    assert abs(merged_differences(inputs).item() - 10 / 3) < 1e-6


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    base = torch.randn(5, 9)
    parts = [Part(torch.randn(9, 5).T, {"weight": each}) for each in (0.3, 0.9, -0.4)]
    inputs = Inputs("x", base, parts, VALUES | {"normalize": True})

    def found(consensus: bool) -> torch.Tensor:
        return merged_differences(inputs, lambda d, *_: d.abs() > 0.5, consensus=consensus)

    whole = [found(each) for each in (False, True)]
    monkeypatch.setattr(differences, "_BLOCK", 7)
    assert all(torch.equal(found(i == 1), whole[i]) for i in range(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("models", [1, 2, 3])
def test_a_sum_is_torch_s_own_bit_for_bit(dtype: torch.dtype, models: int) -> None:
    random = torch.Generator().manual_seed(models)
    patterns = torch.randint(-(2**15), 2**15, (models, 4096), dtype=torch.int16, generator=random)
    patterns[:, :2] = torch.tensor([0, -(2**15)], dtype=torch.int16)  # 0.0 and −0.0
    rows = patterns.view(torch.bfloat16).to(dtype)  # NaN, infinities and subnormals among them
    got, wanted = summed(rows), rows.sum(0)
    assert torch.equal(got.isnan(), wanted.isnan())
    bits = torch.int32 if dtype == torch.float32 else torch.int16
    numbers = ~wanted.isnan()
    assert torch.equal(got.view(bits)[numbers], wanted.view(bits)[numbers])
