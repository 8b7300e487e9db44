"""Whether a token would be chosen in any make-up of a batch, from how far it is ahead.

Numbers from another make-up differ by rounding alone. The margin over the second best tells that
they choose the same in float32, for mixtures whose logits are as close as their models' are, and
without top_k and top_p, which end between two ids of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.decoding.fusion import Mixture
from engine.decoding.sampling import Sampling

LEAST = 1e-4
"""Between the best two logits, beyond which no make-up of a batch chooses another in float32."""

ROUNDING = 2.0**-18
"""The same as a share of the numbers that are summed up: 32 times float32's unit."""

CONTINUOUS = frozenset(("linear", "forward_kl", "alpha"))
"""Kinds whose logits are as close as their models' are."""


class Margin:
    """Of one mixture, sampled in one way.

    Attributes:
        tells: whether a margin tells at all; otherwise only equals are close.
    """

    def __init__(self, mixture: Mixture, sampling: Sampling, dtypes: Sequence[torch.dtype]) -> None:
        warped = not sampling.greedy and (sampling.top_p < 1.0 or sampling.top_k > 0)
        exact = all(each == torch.float32 for each in dtypes)
        self.tells = exact and mixture.kind in CONTINUOUS and not warped
        self._weight = max(1.0, sum(map(abs, mixture.weights)))
        self._temperature = 1.0 if sampling.greedy else sampling.temperature
        self._largest = 0.0

    def see(self, logits: Sequence[Tensor]) -> None:
        """Take note of how large a model's logits are, float32, before they are combined."""
        if self.tells:
            ends = [end for each in logits for end in each.aminmax()]
            self._largest = max(self._largest, *(float(each.abs()) for each in ends))

    def close(self, found: Tensor) -> tuple[Tensor, Tensor]:
        """Of `sampling.chances` [rows, vocabulary], which ids might be the best of their row, bool;
        and the best [rows, 1]."""
        least = max(LEAST, ROUNDING * self._weight * self._largest) if self.tells else 0.0
        best = found.amax(-1, keepdim=True)
        return found >= best - least / self._temperature, best

    def decided(self, found: Tensor) -> Tensor:
        """bool [rows]: whether one id is clearly the best."""
        close, best = self.close(found)
        return (close.sum(-1) == 1) & best.isfinite()[:, 0]

    def choices(self, found: Tensor) -> tuple[list[int], list[bool]]:
        """The best id of each row, and whether it clearly is."""
        close, best = self.close(found)
        only = close.nonzero()[:, 1]  # much faster than to look for two maxima
        if len(only) == len(close) and bool(best.isfinite().all()):
            return only.tolist(), [True] * len(only)
        return found.argmax(-1).tolist(), self.decided(found).tolist()
