"""Order statistics of a stream, against sorting it."""

from __future__ import annotations

import pytest
import torch

from engine.merging import selection
from engine.merging.selection import order_statistics


def rows() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(3, 4001, generator=generator) * 10 ** torch.randn(
        3, 4001, generator=generator
    )
    values[0, :700] = 0.0
    values[0, 700:900] = -0.0
    values[1, ::3] = 1.25  # ties across chunks
    values[2, 5] = 3.0e38
    values[2, 6] = -1e-42  # subnormal
    return values


@pytest.mark.parametrize("held", [0, 1 << 30], ids=["streamed", "held"])
@pytest.mark.parametrize("chunk", [7, 1000, 4001])
def test_every_rank_is_what_sorting_gives(
    chunk: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "HELD_BYTES", held)
    values = rows()
    ranks = [0, 1, 699, 2000, 3999, 4000]
    found = order_statistics(lambda: iter(values.split(chunk, 1)), ranks)
    ordered = values.sort(1).values
    assert found == [[float(row[rank]) for rank in ranks] for row in ordered]


def test_a_rank_outside_the_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="ranks"):
        order_statistics(lambda: iter([torch.zeros(1, 3)]), [3])


def test_an_empty_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        order_statistics(lambda: iter([]), [0])
