"""slerp: the arc, and where there is none."""

from __future__ import annotations

import pytest
import torch

from engine.mergekit.methods import slerp

from ..golden import merged


def test_half_way_between_two_directions() -> None:
    got = merged("slerp", torch.tensor([1.0, 0]), (torch.tensor([0.0, 1]), {}), t=0.5)
    assert torch.allclose(got, torch.tensor([0.5, 0.5]).sqrt())


def test_ends_are_the_models() -> None:
    base, other = torch.randn(3, 4), torch.randn(3, 4)
    assert torch.allclose(merged("slerp", base, (other, {}), t=0.0), base, rtol=1e-6)
    assert torch.allclose(merged("slerp", base, (other, {}), t=1.0), other, rtol=1e-6)


def test_parallel_opposite_and_zero_tensors_are_averaged() -> None:
    base = torch.tensor([1.0, 2.0])
    for other in (base * 3, -base):
        got = merged("slerp", base, (other, {}), t=0.25)
        assert torch.allclose(got, 0.75 * base + 0.25 * other)
    zero = torch.zeros(2)
    assert torch.equal(merged("slerp", zero, (zero, {}), t=0.25), zero)


def test_long_tensors_are_merged_in_spans_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    base, other = torch.randn(50, 3).T, torch.randn(50, 3).T  # not contiguous
    whole = merged("slerp", base, (other, {}), t=0.4)
    monkeypatch.setattr(slerp, "_SPAN", 7)
    assert torch.allclose(merged("slerp", base, (other, {}), t=0.4), whole, atol=1e-6)


def test_an_empty_tensor_stays_empty() -> None:
    assert merged("slerp", torch.zeros(0, 3), (torch.zeros(0, 3), {}), t=0.5).shape == (0, 3)
