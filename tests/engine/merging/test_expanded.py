"""Values added where bits are set, against torch's addition at indices."""

from __future__ import annotations

import pytest
import torch

from engine.merging.bitmap import pack
from engine.merging.expanded import add_kept


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 4096, 10_007])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_every_bit_is_that_of_an_addition_at_indices(length: int, share: float) -> None:
    random = torch.Generator().manual_seed(length)
    row = torch.randn(length, generator=random)
    row *= torch.rand(length, generator=random) < share
    part = torch.randn(length, generator=random)
    part[::3] = -0.0  # which stays so where nothing is added
    where = row.nonzero().view(-1)
    wanted = part.clone().index_add_(0, where, row[where] * 0.3)
    bits, values = pack(row)
    add_kept(part, bits, values, 0.3)
    assert torch.equal(part.view(torch.int32), wanted.view(torch.int32))


def test_neighbours_of_the_part_are_left_alone() -> None:
    whole = torch.zeros(64)
    bits, values = pack(torch.ones(32))
    add_kept(whole[16:48], bits, values, 2.0)
    assert whole.tolist() == [0.0] * 16 + [2.0] * 32 + [0.0] * 16
