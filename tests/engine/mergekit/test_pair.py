"""The loop for two models, against the same steps in torch."""

from __future__ import annotations

import pytest
import torch

from engine.mergekit import pair
from engine.mergekit.differences import merged_differences
from engine.mergekit.keeping import largest
from engine.mergekit.method import Inputs, Part


def inputs(dtype: torch.dtype, size: int, weights: tuple[float, float], how: str) -> Inputs:
    random = torch.Generator().manual_seed(size)
    base, *models = (
        (torch.randn(size, generator=random) * 4).round().div(8).to(dtype) for _ in range(3)
    )
    parts = [
        Part(each, {"density": 0.4, "weight": weight}, None)
        for each, weight in zip(models, weights, strict=True)
    ]
    values = {"normalize": "normalize" in how, "rescale": "rescale" in how, "lambda": 1.0}
    return Inputs("x", base, parts, values)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize(
    "how", ["all", "masked", "masked rescale", "sign", "sign normalize", "sign rescale normalize"]
)
@pytest.mark.parametrize("weights", [(0.7, 0.4), (1.0, -1.0), (0.0, 0.3), (0.5, 0.5)])
def test_every_bit_is_that_of_the_steps_in_torch(
    dtype: torch.dtype, how: str, weights: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, consensus = None if how == "all" else largest, "sign" in how
    for size in (0, 1, 15, 16, 1000, 40_003):
        given = inputs(dtype, size, weights, how)
        got = merged_differences(given, keep, consensus=consensus)
        with monkeypatch.context() as patched:
            patched.setattr(pair, "merge_two", lambda *_: None)
            wanted = merged_differences(given, keep, consensus=consensus)
        bits = torch.int32 if dtype == torch.float32 else torch.int16
        assert torch.equal(got.view(bits), wanted.view(bits)), size


def test_the_loop_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    made = torch.ones(5)
    monkeypatch.setattr(pair, "merge_two", lambda *_: made)
    given = inputs(torch.float32, 5, (1.0, 1.0), "sign")
    assert merged_differences(given, largest, consensus=True).data_ptr() == made.data_ptr()


def test_what_it_cannot_do_is_left_to_torch() -> None:
    base, weights = torch.zeros(8), torch.ones(2)
    kind = pair.Kind(torch.float32, False, False, False)
    factors = (1.0, 1.0)
    assert pair.merge_two(kind, base[::2], [base[:4]] * 2, [], factors, weights) is None
    divided = kind._replace(normalize=True)
    assert pair.merge_two(divided, base, [base] * 2, [], factors, weights) is None
    wide = kind._replace(dtype=torch.float64)
    assert pair.merge_two(wide, base.double(), [base.double()] * 2, [], factors, weights) is None
