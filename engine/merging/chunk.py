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
        count = self.vectors.shape[1]
        places = torch.arange(self.start, self.start + count, device=self.vectors.device)
        known = self.fingerprints()
        keys = ((seed, self.name, known[expert]) for expert in self.experts)
        return torch.stack([_mixed(places, *key) for key in keys])


def _mixed(places: Tensor, *key: object) -> Tensor:
    """float32 in [0, 1) of int64 places: two rounds of a 32-bit hash under a key of 64 bits."""
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
    low, high = (int.from_bytes(digest[at : at + 4], "little") for at in (0, 4))
    mixed = _hash((places & _LOW) ^ low)
    mixed = _hash(mixed ^ (places >> 32) ^ high)
    return (mixed >> 8).to(torch.float32) / (1 << 24)


def _hash(x: Tensor) -> Tensor:
    """int64 in 0 … 2^32 − 1, each bit of which depends on all of x's (C. Wellons, lowbias32)."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _LOW
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _LOW
    return x ^ (x >> 16)
