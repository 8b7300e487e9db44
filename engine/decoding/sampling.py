"""From logits to one token id per row: greedy, or sampled with noise that depends on the position,
not on the batch.

The warpers come in transformers' order: temperature, top_k, top_p. A sample is the argmax of the
warped logits plus Gumbel noise; the noise is a hash of (seed, prompt index, position, token id), so
it depends neither on the batch nor on the recipe: two recipes are compared with the same random
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

COLDEST = 1e-30
"""Below it logits divided by the temperature are beyond float32: the largest alone is left."""

_BITS = (1 << 64) - 1


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        temperature: 0 is greedy: the highest logit, the lowest id among equals; the rest is
            ignored.
        top_p: keep the most likely ids whose probabilities reach this sum; 1 keeps all.
        top_k: keep this many ids; 0 keeps all.
        seed: of the noise.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.temperature >= 0.0:
            raise ValueError(f"temperature: expected 0 or more, got {self.temperature:g}")
        if not 0.0 <= self.top_p <= 1.0:
            raise ValueError(f"top_p: expected a share from 0 to 1, got {self.top_p:g}")
        if self.top_k < 0:
            raise ValueError(f"top_k: expected 0 or more, got {self.top_k}")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0


GREEDY = Sampling()


def _signed(value: int) -> int:
    value &= _BITS
    return value - (1 << 64) if value >> 63 else value


def _shift(values: Tensor, by: int) -> Tensor:
    return (values >> by) & ((1 << (64 - by)) - 1)


def _scramble(values: Tensor) -> Tensor:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014) on int64, whose products wrap."""
    values = (values ^ _shift(values, 30)) * _signed(0xBF58476D1CE4E5B9)
    values = (values ^ _shift(values, 27)) * _signed(0x94D049BB133111EB)
    return values ^ _shift(values, 31)


def row_keys(seed: int, indices: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """int64 [len(indices)]: one key a prompt, from the seed and the prompt's index."""
    start = torch.tensor([_signed(seed * 0x9E3779B97F4A7C15 + 1)], device=device)
    return _scramble(
        _scramble(start) + torch.tensor(list(indices), dtype=torch.int64, device=device)
    )


def gumbel(keys: Tensor, position: int | Tensor, vocabulary: int) -> Tensor:
    """Standard Gumbel noise of one position a row.

    Args:
        keys: int64 [rows], from `row_keys`.
        position: of the new token, from 0; of each row's own, int64 [rows].

    Returns:
        float32 [rows, vocabulary], all finite; each value depends on its own key, position and
        token id only.
    """
    if isinstance(position, Tensor):
        place = _scramble(keys + (position + 1) * _signed(0x9E3779B97F4A7C15))  # wraps
    else:
        place = _scramble(keys + _signed((position + 1) * 0x9E3779B97F4A7C15))
    tokens = torch.arange(vocabulary, device=keys.device)
    bits = _shift(_scramble(place[:, None] + _scramble(tokens + 1)), 11)
    # 53 bits, of which float32 keeps the leading 24: exact near 0, where the large noise comes from
    uniform = (bits.float() * 2.0**-53 + 2.0**-54).clamp_(max=1.0 - 2.0**-24)
    return -torch.log(-torch.log1p(-uniform))


def warp(logits: Tensor, sampling: Sampling) -> Tensor:
    """Temperature, top_k, top_p: float32 [rows, vocabulary], −inf where an id is ruled out."""
    if sampling.temperature < COLDEST:
        best = logits.amax(-1, keepdim=True)
        return torch.zeros_like(logits).masked_fill_(logits < best, -torch.inf)
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        least = logits.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if sampling.top_p < 1.0:
        ordered, ids = logits.sort(dim=-1, descending=True, stable=True)
        reached = (
            ordered.softmax(-1).flip(-1).cumsum(-1).flip(-1)
        )  # the probability of an id and all below it
        out = reached <= 1.0 - sampling.top_p
        out[:, 0] = False
        logits = logits.masked_fill(out.scatter(1, ids, out), -torch.inf)
    return logits


def chances(logits: Tensor, sampling: Sampling, keys: Tensor, position: int | Tensor) -> Tensor:
    """What the next ids are the largest of: the logits, or what they are warped to, with noise.

    Args:
        logits: float32 [rows, vocabulary]; −inf where an id is out.
        keys: int64 [rows], from `row_keys`; greedy does not read it.
        position: of the new token, from 0; of each row's own, int64 [rows].

    Returns:
        float32 [rows, vocabulary].
    """
    if sampling.greedy:
        return logits
    warped = warp(logits, sampling)
    return warped + gumbel(keys, position, warped.shape[-1])


def choose(logits: Tensor, sampling: Sampling, keys: Tensor, position: int | Tensor) -> Tensor:
    """The next ids, int64 [rows], of what `chances` takes.

    `torch.argmax` gives the first of equal maxima.
    """
    return chances(logits, sampling, keys, position).argmax(-1)
