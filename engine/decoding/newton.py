"""The optimum of the negative log-likelihood of a linear mixture, by Newton's method.

    −log p(y) = log Σ_v exp(w · (l(v) − l(y)))      convex in w, and in c where w is affine in c
    gradient    E_w[d],  d = l − l(y)               Hessian    Cov_w[d]

Over a box, or the mixtures whose coefficients add up to one within it, the minimum is the only one.
Each step minimises the quadratic model within the bounds exactly and is halved until the value
falls. The models run once for every value, with value, gradient and Hessian from the same logits,
in float64 from these on. Logits that are alike are refused where the optimum is scored, not on the
way to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from engine.decoding.inputs import CANONICAL, Bucket, Fused, Own, Prompts, Tick, no_tick
from engine.decoding.soundness import refuse_infinite
from engine.decoding.teacher_forced import swept_log_probs

VALUES = 1 << 22
"""Logits that are taken to float64 at a time."""

MOST_STEPS = 50
CLOSE = 1e-10
"""What a further step would gain, in nats: less is none."""

HALVINGS = 30


class Quadratic(NamedTuple):
    """A function about a point.

    Attributes:
        gradient: float64 [k]; hessian: float64 [k, k].
    """

    value: float
    gradient: Tensor
    hessian: Tensor


class Moments:
    """A reader of one mixture: of each token −log p, E[d] and Cov[d], one after the other.

    Args:
        weights: float64 [models].
    """

    def __init__(self, model: Fused, weights: Tensor) -> None:
        models = len(weights)
        self.count = 1 + models + models * models
        self._weights = weights
        self._vocabulary = model.vocabulary

    @torch.inference_mode()
    def read(self, parts: list[Tensor], ids: Tensor, wanted: Tensor, last: bool = False) -> Tensor:
        rows, columns, size = parts[0].shape
        tokens = size if self._vocabulary is None else min(size, self._vocabulary)
        logits = [each.reshape(rows * columns, size)[:, :tokens] for each in parts]
        places = wanted.reshape(-1).nonzero()[:, 0]
        said = ids.reshape(-1)[places]
        found = torch.zeros(self.count, rows * columns, 1, dtype=torch.float64, device=ids.device)
        step = max(1, VALUES // (tokens * len(logits)))
        for at, y in zip(places.split(step), said.split(step), strict=True):
            if len(at):
                found[:, at, 0] = self._moments(logits, at, y)
        return found.view(self.count, rows, columns, 1)

    def _moments(self, logits: Sequence[Tensor], at: Tensor, ids: Tensor) -> Tensor:
        apart = torch.stack([each[at].double() for each in logits], 1)
        apart -= apart.gather(-1, ids[:, None, None].expand(-1, len(logits), 1))
        fused = torch.einsum("m,pmv->pv", self._weights.to(apart.device), apart)
        value = fused.logsumexp(-1)
        refuse_infinite(value)
        share = (fused - value[:, None]).exp()
        mean = torch.einsum("pv,pmv->pm", share, apart)
        apart -= mean[..., None]
        spread = torch.einsum("pmv,pnv->pmn", share[:, None] * apart, apart)
        return torch.cat([value[:, None], mean, spread.flatten(1)], 1).t()


@dataclass(frozen=True)
class Likelihood:
    """What is minimised: Σ over texts of their share times Σ −log p of their tokens.

    Attributes:
        model: its mixture is linear; its weights mean nothing.
        shares: one a continuation.
        own: what modules read instead of the contexts.
    """

    model: Fused
    contexts: Prompts
    continuations: Prompts
    shares: Sequence[float]
    own: Own = field(default_factory=dict)
    bucket: Bucket = CANONICAL
    tick: Tick = no_tick

    def at(self, weights: Tensor) -> Quadratic:
        """Value, gradient and Hessian by the weights, float64 [models]."""
        found = swept_log_probs(
            self.model,
            Moments(self.model, weights),
            self.contexts,
            self.continuations,
            bucket=self.bucket,
            tick=self.tick,
            own=self.own,
        )
        total = torch.zeros(len(found[0]), dtype=torch.float64)
        for share, each in zip(self.shares, found, strict=True):
            total += share * each.double().sum(-1)
        count = len(weights)
        return Quadratic(
            float(total[0]), total[1 : 1 + count], total[1 + count :].view(count, count)
        )


@dataclass(frozen=True)
class Region:
    """Where coefficients may lie.

    Attributes:
        low, high: of each coefficient.
        fixed_sum: whether they add up to one.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    fixed_sum: bool = False

    def start(self) -> Tensor:
        """A point inside, float64."""
        low, high = (torch.tensor(each, dtype=torch.float64) for each in (self.low, self.high))
        if not self.fixed_sum:
            return (low + high) / 2
        room = high - low
        return low + room * ((1.0 - float(low.sum())) / float(room.sum()))

    @property
    def empty(self) -> bool:
        """Whether no coefficients within the bounds add up to one."""
        return self.fixed_sum and not sum(self.low) <= 1.0 <= sum(self.high)


class Optimum(NamedTuple):
    """Where a function is least.

    Attributes:
        coefficients: within the region.
        steps: that were taken.
        gain: what a further step would gain at most by the quadratic model.
    """

    coefficients: tuple[float, ...]
    value: float
    steps: int
    gain: float


def minimise(
    function: Callable[[Tensor], Quadratic],
    region: Region,
    said: Callable[[int, float], None] = lambda steps, value: None,
) -> Optimum:
    """The minimum of a convex function over a region.

    Args:
        function: of the coefficients, float64 [k].
        said: told how many steps were taken, and the value there.
    """
    at = region.start()
    here = function(at)
    for steps in range(MOST_STEPS):
        said(steps, here.value)
        step = best_step(here, at, region)
        slope = float(here.gradient @ step)
        gain = -slope - 0.5 * float(step @ here.hessian @ step)
        if gain <= CLOSE * max(1.0, abs(here.value)):
            break
        length = 1.0
        for _ in range(HALVINGS):
            there = function(at + length * step)
            if there.value <= here.value + 1e-4 * length * slope:
                break
            length /= 2
        else:  # rounding: nothing along the step is less
            break
        at, here = at + length * step, there
    return Optimum(tuple(at.tolist()), here.value, steps, gain)


def best_step(model: Quadratic, at: Tensor, region: Region) -> Tensor:
    """The step within the region that minimises the quadratic model, float64 [k].

    Coefficient by coefficient, or pair by pair where their sum is fixed, until none moves.
    """
    count = len(at)
    low = (torch.tensor(region.low, dtype=torch.float64) - at).tolist()
    high = (torch.tensor(region.high, dtype=torch.float64) - at).tolist()
    gradient, hessian = model.gradient.tolist(), model.hessian.tolist()
    step = [0.0] * count
    moves = [(i, None) for i in range(count)] if not region.fixed_sum else [
        (i, j) for i in range(count) for j in range(i)
    ]  # fmt: skip
    for _ in range(10_000):
        most = 0.0
        for i, j in moves:
            slope, bend = gradient[i], hessian[i][i]
            least, largest = low[i] - step[i], high[i] - step[i]
            if j is not None:
                slope -= gradient[j]
                bend += hessian[j][j] - 2 * hessian[i][j]
                least, largest = max(least, step[j] - high[j]), min(largest, step[j] - low[j])
            wanted = -slope / bend if bend > 0.0 else -math.copysign(math.inf, slope)
            if slope == 0.0:
                continue
            move = min(max(wanted, least), largest)
            step[i] += move
            gradient = [g + move * h for g, h in zip(gradient, hessian[i], strict=True)]
            if j is not None:
                step[j] -= move
                gradient = [g - move * h for g, h in zip(gradient, hessian[j], strict=True)]
            most = max(most, abs(move))
        if most < 1e-13:
            break
    return torch.tensor(step, dtype=torch.float64)
