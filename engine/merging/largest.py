"""The largest values of a stream or of a row, exactly as many as asked for.

Task vectors of 16-bit checkpoints hold many equal values, so a threshold alone keeps too many. Of
equal values the earlier ones are larger here, on every device and for any size of chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine.merging.basis import Tensors
from engine.merging.chunk import Chunk
from engine.merging.selection import Values, order_statistics
from engine.merging.stream import stream


class Largest(NamedTuple):
    """Which values of each row of a stream are its largest.

    Attributes:
        floor: [n, 1] float32; every value above it is one.
        end: [n, 1] int64; a value equal to it is one where it lies before this place.
    """

    floor: Tensor
    end: Tensor

    def of(self, values: Tensor, start: int) -> Tensor:
        """bool [n, k] of a chunk [n, k] whose first column is the stream's column `start`."""
        places = torch.arange(start, start + values.shape[1], device=values.device)
        return (values > self.floor) | ((values == self.floor) & (places < self.end))


def largest(values: Values, counts: Sequence[int]) -> list[Largest]:
    """The `count` largest of every row of a stream, for each of `counts`.

    Args:
        values: at least one a row, none NaN; read twice more than order statistics do.
        counts: each between 0 and `values.total`.
    """
    ranks = [values.total - max(count, 1) for count in counts]
    found = torch.tensor(order_statistics(values, ranks))
    above = torch.zeros(len(counts), len(found), dtype=torch.int64)
    equal = torch.zeros_like(above)
    for chunk in values.chunks():
        floors = found.T.unsqueeze(2).to(chunk.device)  # [counts, n, 1]
        above += (chunk > floors).sum(2).cpu()
        equal += (chunk == floors).sum(2).cpu()
    wanted = torch.tensor(counts).unsqueeze(1) - above
    ends = torch.where(wanted > 0, torch.iinfo(torch.int64).max, 0)
    if (short := (wanted > 0) & (wanted < equal)).any():
        _cut(values, found.T, wanted, short, ends)
    return [
        Largest(*(each.unsqueeze(1).to(chunk.device) for each in pair))
        for pair in zip(found.T, ends, strict=True)
    ]


def _cut(
    values: Values,
    floors: Tensor,
    wanted: Tensor,
    short: Tensor,
    ends: Tensor,
) -> None:
    """Set `ends` to the place behind the `wanted`-th value equal to the floor, where `short`.

    Args:
        floors, wanted, short, ends: [counts, n].
    """
    seen, start = torch.zeros_like(wanted), 0
    for chunk in values.chunks():
        for which, row in short.nonzero().tolist():
            places = (chunk[row] == floors[which, row].item()).nonzero().view(-1)
            left = int(wanted[which, row] - seen[which, row])
            if 0 < left <= len(places):
                ends[which, row] = start + int(places[left - 1]) + 1
            seen[which, row] += len(places)
        start += chunk.shape[1]


def largest_of_tensors(
    tensors: Tensors, counts: Callable[[int], tuple[int, ...]]
) -> Callable[[Chunk], list[Tensor]]:
    """The largest |τ| of every expert in each tensor by itself.

    Args:
        counts: number of a tensor's elements -> how many of them are wanted, once or several times.

    Returns:
        chunk -> bool [n, k] for each count.
    """
    found = {}
    for name in tensors.names:
        if total := tensors.merged_shape(name).numel():
            sizes = stream(tensors, lambda vectors: vectors.abs_(), [name])
            found[name] = largest(sizes, counts(total))

    def masks(chunk: Chunk) -> list[Tensor]:
        magnitudes = chunk.vectors.abs()
        return [each.of(magnitudes, chunk.start) for each in found[chunk.name]]

    return masks


def largest_of_rows(values: Tensor, counts: Sequence[int]) -> list[Tensor]:
    """For each of `counts`, bool like `values` [..., k]: so many of every row along the last
    dimension, the largest."""
    width = values.shape[-1]
    most = max((count for count in counts if count < width), default=0)
    floors = values.topk(max(0, most), dim=-1).values  # descending

    def mask(count: int) -> Tensor:
        if count <= 0 or count >= width:
            return torch.full_like(values, count > 0, dtype=torch.bool)
        floor = floors[..., count - 1 : count]
        reached = values >= floor
        if int(reached.sum()) * width == count * values.numel():
            return reached
        above, equal = values > floor, values == floor
        left = count - above.sum(-1, keepdim=True)
        return above | (equal & (equal.cumsum(-1, dtype=torch.int32) <= left))

    return [mask(count) for count in counts]
