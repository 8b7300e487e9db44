"""A chunk of one tensor's task vectors that knows its position.

A method's random numbers have to depend on the position: a mask seeded without the tensor's name is
the same in all tensors of a shape, and one seeded per chunk changes with the chunk size. An expert
counts by its fingerprint: what it is called, and which others stand beside it, changes no mask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

_LOW = 0xFFFFFFFF
_SPAN = 1 << 15  # places hashed at a time: a quarter of a megabyte, which stays in a core's cache


class Chunk(NamedTuple):
    """Task vectors of neighbouring elements of one tensor.

    Attributes:
        name: of the tensor, as the base's files have it.
        start: offset of the first element in the tensor's flat merged part.
        experts: one a row.
        vectors: τ, float32 [n, k].
        fingerprints: gives the sha256 of every expert by name; asked where lots are drawn.
    """

    name: str
    start: int
    experts: tuple[str, ...]
    vectors: Tensor
    fingerprints: Callable[[], Mapping[str, str]]

    def lots(self, seed: int) -> Tensor:
        """Uniform random numbers in [0, 1), float32 [n, k], determined by seed, tensor, element and
        the expert's fingerprint, and independent of device and chunk size."""
        known = self.fingerprints()
        keys = [_key(seed, self.name, known[expert]) for expert in self.experts]
        count, device = self.vectors.shape[1], self.vectors.device
        drawn = torch.empty(len(keys), count, device=device)
        for at in range(0, count, _SPAN):
            part = drawn[:, at : at + _SPAN]
            start = self.start + at
            places = torch.arange(start, start + part.shape[1], device=device)
            for row, key in zip(part, keys, strict=True):
                row.copy_(_mixed(places, *key))
        return drawn.div_(1 << 24)


def _key(*parts: object) -> tuple[int, int]:
    """Two numbers in 0 … 2^32 − 1."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def _mixed(places: Tensor, low: int, high: int) -> Tensor:
    """int64 in 0 … 2^24 − 1 of int64 places: two rounds of a 32-bit hash under a key of 64 bits."""
    mixed = _hash((places & _LOW).bitwise_xor_(low))
    mixed = _hash(mixed.bitwise_xor_(places >> 32).bitwise_xor_(high))
    return mixed >> 8


def _hash(x: Tensor) -> Tensor:
    """int64 in 0 … 2^32 − 1, each bit of which depends on all of x's (C. Wellons, lowbias32);
    written over x."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x.bitwise_xor_(x >> shift).mul_(factor).bitwise_and_(_LOW)
    return x.bitwise_xor_(x >> 16)
