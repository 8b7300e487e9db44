"""Order statistics of a stream, against sorting it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine.merging import selection
from engine.merging.selection import Values, order_statistics


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


def stream(values: torch.Tensor, chunk: int, sample: torch.Tensor) -> Values:
    return Values(
        values.shape[1], lambda: iter(values.split(chunk, 1)), lambda: iter(sample.split(50, 1))
    )


RANKS = [0, 1, 699, 2000, 3999, 4000]


def by_sorting(values: torch.Tensor) -> list[list[float]]:
    return [[float(row[rank]) for rank in RANKS] for row in values.sort(1).values]


@pytest.mark.parametrize("chunk", [7, 1000, 4001])
@pytest.mark.parametrize("way", ["held", "even", "misleading", "none"])
def test_every_rank_is_what_sorting_gives(
    way: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample that misleads, and one that is empty, cost time and change nothing."""
    monkeypatch.setattr(selection, "HELD", 4001 if way == "held" else 0)
    values = rows()
    sample = {"even": values[:, ::9], "misleading": values.sort(1).values[:, 1500:1990]}
    found = order_statistics(stream(values, chunk, sample.get(way, values[:, :0])), RANKS)
    assert found == by_sorting(values)


def test_a_sample_saves_the_passes_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("counted")

    monkeypatch.setattr(selection, "HELD", 0)
    monkeypatch.setattr(selection, "_counted", never)
    values = rows()
    sample = values[:, torch.randperm(4001, generator=torch.Generator().manual_seed(0))[:900]]
    assert order_statistics(stream(values, 500, sample), RANKS) == by_sorting(values)


def test_few_values_are_held_of_many_that_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in task vectors of 16-bit checkpoints: most are 0, and few others differ."""
    monkeypatch.setattr(selection, "HELD", 0)
    most: list[int] = []
    take = selection._Bracket.take

    def spy(self: selection._Bracket, row: object) -> None:
        take(self, row)
        most.append(sum(len(each) for each in self._inside))

    monkeypatch.setattr(selection._Bracket, "take", spy)
    values = torch.randint(-3, 4, (2, 4001), generator=torch.Generator().manual_seed(0)).float()
    values[:, ::2] = 0.0
    assert order_statistics(stream(values, 500, values[:, ::9]), [2000]) == [[0.0], [0.0]]
    assert max(most) == 0


def test_a_rank_outside_the_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="ranks"):
        order_statistics(stream(torch.zeros(1, 3), 3, torch.zeros(1, 3)), [3])


def test_an_empty_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        order_statistics(stream(torch.zeros(1, 0), 3, torch.zeros(1, 0)), [0])


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_a_bracket_knows_the_ranks_of_its_bounds_and_of_what_lies_between(kind: Any) -> None:
    bracket = selection._Bracket(2.0, 4.0)
    for part in ([5.0, 2.0, 4.0], [3.0, 1.0], [4.0, 2.0]):
        bracket.take(kind(part))
    assert [bracket.value(rank) for rank in range(7)] == [None, 2.0, 2.0, 3.0, 4.0, 4.0, None]
