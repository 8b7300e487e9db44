"""Rows that are mostly zeros, as one bit an element and the values that are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

_SHIFTS = torch.arange(8, dtype=torch.uint8)


class Packing:
    """Takes a row piece by piece, each while it is in the processor's cache."""

    def __init__(self) -> None:
        self.length = 0
        self._masks: list[Any] = []
        self._values: list[Any] = []

    def add(self, piece: Tensor) -> None:
        """The next elements of the row, float32 [k]."""
        self.length += len(piece)
        elements: Any = piece.numpy() if piece.device.type == "cpu" else piece
        mask = elements != 0
        self._masks.append(mask)
        # in numpy nonzero, a tuple, is up to four times as fast; torch's is no such index
        self._values.append(elements[mask if isinstance(mask, Tensor) else mask.nonzero()])

    def packed(self) -> tuple[Tensor, Tensor]:
        """(bitmap uint8 [⌈length / 8⌉], the values that are not zero)."""
        if isinstance(self._masks[0], np.ndarray):
            packed = np.packbits(np.concatenate(self._masks), bitorder="little")
            return torch.from_numpy(packed), torch.from_numpy(np.concatenate(self._values))
        mask = torch.cat(self._masks)
        padded = torch.zeros(-(-len(mask) // 8) * 8, dtype=torch.uint8, device=mask.device)
        padded[: len(mask)] = mask
        bits = (padded.view(-1, 8) << _SHIFTS.to(mask.device)).sum(1, dtype=torch.uint8)
        return bits, torch.cat(self._values)


def pack(row: Tensor) -> tuple[Tensor, Tensor]:
    """(bitmap uint8 [⌈k / 8⌉], the values that are not zero) of a row of k float32."""
    packing = Packing()
    packing.add(row)
    return packing.packed()


def places(bits: Tensor, length: int) -> Tensor:
    """Indices of the set bits, int64, ascending."""
    if bits.device.type == "cpu":
        unpacked = np.unpackbits(bits.numpy(), count=length, bitorder="little")
        return torch.from_numpy(np.flatnonzero(unpacked.view(np.bool_)))
    ones = (bits.unsqueeze(1) >> _SHIFTS.to(bits.device)) & 1
    return ones.view(-1)[:length].nonzero().view(-1)
