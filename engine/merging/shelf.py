"""Memory for what stays, apart from what is used and freed while it is made.

What a basis keeps is made piece by piece between temporaries of many sizes. An allocator puts all
of them side by side, and what is freed around a piece that stays is not large enough for the next
one: five times the memory that is kept was measured. So pieces that stay are copied into blocks of
their own, which are large enough that every allocator maps them by themselves.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

BLOCK = 1 << 26
"""Bytes of a block; what nothing lies in takes no memory."""

_ALIGNMENT = 64


class Shelf:
    """Where the pieces of one basis lie; a block is freed with the last piece that lies in it."""

    def __init__(self) -> None:
        self._block = torch.empty(0, dtype=torch.uint8)
        self._end = 0

    def keep(self, piece: Tensor) -> Tensor:
        """The same tensor where it can stay, contiguous; one of another device as it is."""
        if piece.device.type != "cpu":
            return piece.contiguous()
        size = piece.nbytes
        if self._end + size > len(self._block):
            self._block = torch.empty(max(BLOCK, size), dtype=torch.uint8)
            self._end = 0
        place = self._block[self._end : self._end + size].view(piece.dtype).view(piece.shape)
        self._end += -(-size // _ALIGNMENT) * _ALIGNMENT
        return place.copy_(piece)


def give_back() -> None:
    """Return what is free between pieces that stay to the system, where the allocator is glibc's:
    by itself it returns only what is free at the end."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
