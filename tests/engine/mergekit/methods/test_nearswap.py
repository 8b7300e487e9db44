"""nearswap: near the base the other model, far from it less."""

from __future__ import annotations

import torch

from ..golden import merged


def test_near_ones_are_taken_and_far_ones_by_t() -> None:
    base, other = torch.zeros(3), torch.tensor([0.5, -4.0, 0.0])
    assert torch.allclose(merged("nearswap", base, (other, {}), t=1.0), torch.tensor([0.5, -1, 0]))


def test_nothing_is_swapped_at_nothing_in_any_type() -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        base = torch.randn(4).to(dtype)
        assert torch.equal(merged("nearswap", base, (base.clone(), {}), t=0), base)
