"""Rows that are mostly zeros, as one bit an element and the values that are not zero."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_SHIFTS = torch.arange(8, dtype=torch.uint8)


def pack(row: Tensor) -> tuple[Tensor, Tensor]:
    """(bitmap uint8 [⌈k / 8⌉], the non-zero values) of a row of k float32."""
    mask = row != 0
    padded = torch.zeros(-(-len(row) // 8) * 8, dtype=torch.uint8, device=row.device)
    padded[: len(row)] = mask
    bits = (padded.view(-1, 8) << _SHIFTS.to(row.device)).sum(1, dtype=torch.uint8)
    return bits, row[mask]


def places(bits: Tensor, length: int) -> Tensor:
    """Indices of the set bits, int64, ascending."""
    if bits.device.type == "cpu":
        unpacked = np.unpackbits(bits.numpy(), count=length, bitorder="little")
        return torch.from_numpy(np.flatnonzero(unpacked.view(np.bool_)))
    ones = (bits.unsqueeze(1) >> _SHIFTS.to(bits.device)) & 1
    return ones.view(-1)[:length].nonzero().view(-1)
