"""ramplus_tl: own changes enlarged by the share of shared ones."""

from __future__ import annotations

import torch

from ..golden import merged


def test_own_changes_grow_with_the_share_of_shared_ones() -> None:
    base = torch.zeros(3)
    one, other = torch.tensor([2.0, 4.0, 0.0]), torch.tensor([4.0, 0.0, 0.0])
    got = merged("ramplus_tl", base, (one, {}), (other, {}), r=0.5, alpha=0.8)
    # of the first: one change shared, one its own, cut to alpha
    assert torch.allclose(got, torch.tensor([3, 4 * (1 + 0.5 * 0.8), 0]))


def test_without_growth_it_is_ram() -> None:
    base, one, other = torch.zeros(9), torch.randn(9), torch.randn(9)
    wanted = merged("ram", base, (one, {}), (other, {}))
    assert torch.allclose(merged("ramplus_tl", base, (one, {}), (other, {}), r=0.0), wanted)
