"""The upper envelope of lines: which b_v + x · d_v is the largest, for every x of an interval."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

ABOVE = 1e-12
"""A line counts as above others from this share of its height on; the rest is rounding."""

NARROW = 1e-12
"""An interval narrower than this is a point where lines meet, not one of the map's."""

Piece = tuple[int, float, float]
"""A token, and the values from and to which it is chosen."""


def envelope(b: Tensor, d: Tensor, low: Tensor, high: Tensor) -> list[list[Piece]]:
    """Which line is on top, from `low` to `high` of each row; the lowest id among equal lines.

    Between two lines of an envelope either nothing is above the point where they cross, or the line
    that is belongs to it: a pass over the vocabulary a line found, all rows at once.

    Args:
        b, d: float64 [rows, size].
        low, high: float64 [rows].

    Returns:
        For each row its pieces in order; each begins where the one before ends.
    """
    first, last = _top(b, d, low, 1.0), _top(b, d, high, -1.0)
    starts, ends = low.tolist(), high.tolist()
    pairs = list(zip(first.tolist(), last.tolist(), strict=True))
    found: list[set[int]] = [set(pair) for pair in pairs]
    cuts: list[list[float]] = [[] for _ in pairs]
    open_ = [
        (row, u, v, start, end)
        for row, ((u, v), start, end) in enumerate(zip(pairs, starts, ends, strict=True))
        if u != v
    ]
    while open_:
        rows, left, right, least, most = (
            torch.tensor(each, device=b.device) for each in zip(*open_, strict=True)
        )
        rise = d[rows, right] - d[rows, left]
        x = ((b[rows, left] - b[rows, right]) / rise).nan_to_num(torch.inf)
        x = torch.minimum(torch.maximum(x, least), most)
        heights = b[rows] + x[:, None] * d[rows]
        height, top = heights.max(-1)
        pair = heights.gather(1, torch.stack((left, right), 1)).amax(-1)
        above = (height > pair + ABOVE * (1.0 + pair.abs())).tolist()
        further = []
        for each, at, token, is_above in zip(open_, x.tolist(), top.tolist(), above, strict=True):
            row, u, v, start, end = each
            if is_above and token not in found[row]:
                found[row].add(token)
                further += [(row, u, token, start, at), (row, token, v, at, end)]
            else:
                cuts[row].append(at)
        open_ = further
    pieces = []
    for row, tokens in enumerate(found):
        order = list(tokens)
        if len(order) > 1:
            slopes = dict(zip(order, d[row, order].tolist(), strict=True))
            order.sort(key=lambda token: (slopes[token], token))
        places = [starts[row], *sorted(cuts[row]), ends[row]]
        pieces.append(_wide(zip(order, places[:-1], places[1:], strict=True)))
    return pieces


def _top(b: Tensor, d: Tensor, x: Tensor, side: float) -> Tensor:
    """int64 [rows]: the line on top at x and, of several, beside it: right of it for a side of 1,
    left of it for −1."""
    heights = b + x[:, None] * d
    below = heights < heights.amax(-1, keepdim=True)
    return (d * side).masked_fill_(below, -torch.inf).argmax(-1)


def _wide(pieces: Iterable[Piece]) -> list[Piece]:
    """Without those of no width, which go to their neighbour."""
    found: list[Piece] = []
    for token, low, high in pieces:
        if found and high - low <= NARROW * (1.0 + abs(low)):
            found[-1] = (*found[-1][:2], high)
        elif len(found) == 1 and found[0][2] - found[0][1] <= NARROW * (1.0 + abs(low)):
            found[0] = (token, found[0][1], high)
        else:
            found.append((token, low, high))
    return found
