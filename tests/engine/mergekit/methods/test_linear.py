"""linear against mergekit's outputs, and its precision."""

from __future__ import annotations

import pytest
import torch

from engine.errors import BadInput
from engine.mergekit.method import MERGES, Inputs, Part
from engine.mergekit.methods import linear

from ..golden import EXPERTS, close, merged, outputs, published


def test_the_average_is_mergekits() -> None:
    models = published()
    for name, wanted in outputs("linear"):
        parts = [
            Part(models[model][name], {"weight": weight})
            for model, weight in zip(("base", *EXPERTS), (0.1, 0.3, 0.4, 0.5), strict=True)
        ]
        assert close(MERGES["linear"](Inputs(name, None, parts)), wanted), name


def test_sums_in_float32_and_rounds_once() -> None:
    one, other = (torch.tensor([each]).bfloat16() for each in (1.0, 1.0078125))
    got = merged("linear", None, (one, {"weight": 0.7007}), (other, {"weight": 0.2993}))
    exact = (0.7007 * 1.0 + 0.2993 * 1.0078125) / 1.0
    assert got.dtype == torch.bfloat16 and got == torch.tensor(exact).bfloat16()


def test_without_normalize_weights_are_taken_as_they_are() -> None:
    got = merged("linear", None, (torch.ones(2), {"weight": 3.0}), normalize=False)
    assert got.tolist() == [3.0, 3.0]


def test_weights_that_sum_to_nothing_are_refused() -> None:
    one = (torch.ones(2), {"weight": 1.0})
    with pytest.raises(BadInput, match="sum to 0"):
        merged("linear", None, one, (torch.ones(2), {"weight": -1.0}))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [(torch.randn(5, 9).T, {"weight": each}) for each in (0.3, 0.9)]
    whole = merged("linear", None, *models)
    monkeypatch.setattr(linear, "_BLOCK", 7)
    assert torch.equal(merged("linear", None, *models), whole)
