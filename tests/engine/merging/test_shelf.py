"""What stays lies in blocks of its own."""

from __future__ import annotations

import torch

from engine.merging.shelf import BLOCK, Shelf


def test_pieces_are_what_they_were_and_lie_in_one_block() -> None:
    shelf = Shelf()
    pieces = [
        torch.arange(5, dtype=torch.uint8), torch.randn(7), torch.empty(0), torch.randn(3, 4).T
    ]  # fmt: skip
    kept = [shelf.keep(each) for each in pieces]
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(pieces, kept, strict=True))
    assert len({each.untyped_storage().data_ptr() for each in kept}) == 1
    assert all(each.is_contiguous() and each.data_ptr() % 64 == 0 for each in kept)


def test_a_full_block_is_followed_by_another_and_a_large_piece_has_one_of_its_own() -> None:
    shelf = Shelf()
    first = shelf.keep(torch.ones(4))
    large = shelf.keep(torch.ones(BLOCK + 8, dtype=torch.uint8))
    assert len(large.untyped_storage()) == BLOCK + 8 and bool(large.all())
    assert shelf.keep(torch.ones(2)).untyped_storage().data_ptr() not in (
        first.untyped_storage().data_ptr(), large.untyped_storage().data_ptr()
    )  # fmt: skip
