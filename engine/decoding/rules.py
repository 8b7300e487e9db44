"""How the logits of several models become one's, a function a kind of mixture.

    linear       l = Σ_m w_m l_m
    forward_kl   l = −logsumexp_m(log w_m − log p_m)                      w > 0
    alpha        l = −1/α logsumexp_m(log w_m − α log p_m)                w > 0
    nucleus      Σ_m w_m l_m where the first model's token is in its nucleus, else −inf
    plausible    Σ_m w_m l_m where p_first ≥ share · max p_first, else −inf
    gated        the first model alone where its entropy is below `threshold`, else Σ_m w_m l_m
    dynamic      target + α (expert − base), α anew at every token

Imports torch alone: an exported decoding folder ships this text. Nothing depends on what else is in
the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Options = Mapping[str, float]
Rule = Callable[[Sequence[Tensor], Sequence[float], Options], Tensor]

VALUES = 1 << 22
"""Logits that `dynamic` takes to float64 at a time."""

EQUAL = 1e-12
"""Share of the squared divergences within which two losses in float64 are one."""


def linear(logits: Sequence[Tensor], weights: Sequence[float], options: Options) -> Tensor:
    """Σ w l; one model of weight 1 is returned as it is, not copied."""
    if len(logits) == 1 and weights[0] == 1.0:
        return logits[0]
    total = logits[0] * weights[0]
    for weight, each in zip(weights[1:], logits[1:], strict=True):
        total.add_(each, alpha=weight)
    return total


def forward_kl(logits: Sequence[Tensor], weights: Sequence[float], options: Options) -> Tensor:
    """The harmonic mean of the distributions (MOD, arXiv 2406.18853)."""
    return alpha(logits, weights, {"alpha": 1.0})


def alpha(logits: Sequence[Tensor], weights: Sequence[float], options: Options) -> Tensor:
    """(Σ w p^−α)^(−1/α): between the geometric mean (α → 0) and the harmonic one (α = 1)."""
    if len(logits) == 1:
        return logits[0]
    power = options["alpha"]
    total: Tensor | None = None
    for weight, each in zip(weights, logits, strict=True):
        normal = each.logsumexp(-1, keepdim=True)
        if power == 1.0:
            term = (normal + math.log(weight)) - each
        else:
            term = (normal - each) * power + math.log(weight)
        total = term if total is None else torch.logaddexp(total, term)
    assert total is not None
    return total.neg_() if power == 1.0 else total.div_(-power)


def nucleus(logits: Sequence[Tensor], weights: Sequence[float], options: Options) -> Tensor:
    """DExperts (arXiv 2105.03023): outside of the first model's nucleus a token is ruled out.

    The nucleus: the most likely tokens, up to that with which their probability exceeds `share`.
    """
    ordered, ids = logits[0].sort(dim=-1, descending=True, stable=True)
    parts = ordered.softmax(-1)
    out = parts.cumsum(-1) - parts > options["share"]
    out[..., 0] = False
    return _without(linear(logits, weights, options), out.scatter(-1, ids, out), logits)


def plausible(logits: Sequence[Tensor], weights: Sequence[float], options: Options) -> Tensor:
    """Contrastive decoding (arXiv 2210.15097): what is implausible to the first model is out."""
    if not options["share"]:
        return linear(logits, weights, options)
    least = logits[0].amax(-1, keepdim=True) + math.log(options["share"])
    return _without(linear(logits, weights, options), logits[0] < least, logits)


def gated(logits: Sequence[Tensor], weights: Sequence[float], options: Options) -> Tensor:
    """The first model where it is sure; each place is decided by itself."""
    doubted = in_doubt(logits[0], options)[..., None]
    return torch.where(doubted, linear(logits, weights, options), logits[0])


def in_doubt(logits: Tensor, options: Options) -> Tensor:
    """bool [...]: where the entropy, in nats, of logits [..., ids] is `threshold` or more."""
    spread = logits.log_softmax(-1)
    entropy = -(spread.exp() * spread).nan_to_num_(0.0).sum(-1)
    return entropy >= options["threshold"]


def _without(fused: Tensor, out: Tensor, logits: Sequence[Tensor]) -> Tensor:
    if any(fused is each for each in logits):
        return fused.masked_fill(out, -torch.inf)
    return fused.masked_fill_(out, -torch.inf)


def steered(
    logits: Sequence[Tensor], weights: Sequence[float], options: Options, found: Tensor
) -> Tensor:
    """target + Σ α_i (expert_i − base) with α [..., experts], as `strengths` finds it."""
    found = found.float()
    target, base, experts = _roles(logits, options)
    if options["directed"]:
        shift = linear([each - base for each in experts], _experts(weights, options), options)
        return target + found * shift
    fused = target.clone()
    for place, each in enumerate(experts):
        fused += found[..., place, None] * (each - base)
    return fused


def strengths(logits: Sequence[Tensor], weights: Sequence[float], options: Options) -> Tensor:
    """How strongly the experts steer each token: dynamic logit fusion (arXiv 2406.15480, Algorithm
    1, with its minimum reset at every token).

    Over the candidates 0, step, …, max, one expert at a time and the others 0, the first minimum of
    Σ_t (KL(P_α‖P) − KL(Q_t‖Q))² + (KL(P‖P_α) − KL(Q‖Q_t))², where P is the target's distribution,
    Q the base's, Q_t an expert's, and P_α that of target + α (expert − base).

    Returns:
        float64 [..., experts]; under `directed` [..., 1], that of the experts' weighted sum.
    """
    shape = logits[0].shape
    step = max(1, VALUES // shape[-1])
    flat = [each.reshape(-1, shape[-1]) for each in logits]
    count = 1 if options["directed"] else len(_experts(weights, options))
    found = torch.empty(len(flat[0]), count, dtype=torch.float64, device=flat[0].device)
    for start in range(0, len(found), step):
        part = [each[start : start + step].double() for each in flat]
        found[start : start + step] = _strengths(part, weights, options)
    return found.view(*shape[:-1], count)


def _roles(logits: Sequence[Tensor], options: Options) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The target's logits, the base's (the same where it has no target), the experts'."""
    first = 2 if options["target"] else 1
    return logits[0], logits[first - 1], list(logits[first:])


def _experts(weights: Sequence[float], options: Options) -> Sequence[float]:
    return weights[2 if options["target"] else 1 :]


def _strengths(logits: Sequence[Tensor], weights: Sequence[float], options: Options) -> Tensor:
    """float64 [n, experts] of float64 logits [n, vocabulary]."""
    target, base, experts = _roles(logits, options)
    p, q = target.log_softmax(-1), base.log_softmax(-1)
    shifts = [each - base for each in experts]
    if options["directed"]:
        shifts = [linear(shifts, _experts(weights, options), options)]
    count = round(options["max"] / options["step"] + 1e-9) + 1
    grid = torch.arange(count, dtype=torch.float64, device=p.device) * options["step"]
    spread = [(base + each).log_softmax(-1) for each in shifts]
    away = [(each.exp() * (each - q)).sum(-1) for each in spread]
    back = [(q.exp() * (q - each)).sum(-1) for each in spread]
    losses = []
    for shift in shifts:
        from_p, to_p = _divergences(p, shift, grid)
        terms = (
            (from_p - there[:, None]) ** 2 + (to_p - here[:, None]) ** 2
            for there, here in zip(away, back, strict=True)
        )
        losses.append(sum(terms, torch.zeros_like(from_p)))
    loss = torch.cat(losses, -1)
    # where the target is the base, two experts at a strength of 1 are equal but for rounding
    size = sum((each.square() for each in (*away, *back)), torch.zeros_like(away[0]))
    best = (loss <= loss.amin(-1, keepdim=True) + EQUAL * size[:, None]).int().argmax(-1)
    found = torch.zeros(len(p), len(shifts), dtype=torch.float64, device=p.device)
    return found.scatter_(1, (best // count)[:, None], grid[best % count][:, None])


def _divergences(p: Tensor, shift: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """KL(P_α‖P) and KL(P‖P_α) [n, candidates], where log P_α = p + α shift, normalised.

    With the shift centred under P and K(α) = log E_P[exp(α shift)] they are α K′ − K and K. Each
    candidate's exp(α shift) is the one before times exp(step · shift), below its largest value, so
    that one pass of exponentials serves all and none overflows.
    """
    weight = p.exp()
    shift = shift - (weight * shift).sum(-1, keepdim=True)
    largest = shift.amax(-1, keepdim=True)
    step = (shift - largest) * (grid[1] if len(grid) > 1 else 0.0)
    step = step.exp_()
    value, slope = [], []
    for place in range(len(grid)):
        if place:
            weight = weight * step
        mass = weight.sum(-1)
        value.append(mass.log() + grid[place] * largest[:, 0])
        slope.append((weight * shift).sum(-1) / mass)
    k, rise = torch.stack(value, -1), torch.stack(slope, -1)
    return grid * rise - k, k


# `dynamic` has strengths to tell of beside its logits: see `combined`
RULES: dict[str, Rule] = {
    "linear": linear,
    "forward_kl": forward_kl,
    "alpha": alpha,
    "nucleus": nucleus,
    "plausible": plausible,
    "gated": gated,
}


def combined(
    kind: str,
    logits: Sequence[Tensor],
    weights: Sequence[float],
    options: Options,
    vocabulary: int | None,
    said: list[Tensor] | None = None,
) -> Tensor:
    """Fused logits, float32 [..., rows], −inf from the id `vocabulary` on.

    Args:
        logits: float32 [..., rows], one a model; may be overwritten.
        vocabulary: None rules no id out.
        said: takes the strengths that were chosen, where a kind chooses them.
    """
    rows = logits[0].shape[-1]
    vocabulary = rows if vocabulary is None else min(vocabulary, rows)
    if kind == "dynamic":
        kept = [each[..., :vocabulary] for each in logits]
        found = strengths(kept, weights, options)
        if said is not None:
            said.append(found)
        fused = steered(kept, weights, options, found)
        return torch.nn.functional.pad(fused, (0, rows - vocabulary), value=-torch.inf)
    if vocabulary == rows:
        return RULES[kind](logits, weights, options)
    if kind in ("linear", "forward_kl"):
        fused = RULES[kind](logits, weights, options)
        fused[..., vocabulary:] = -torch.inf
        return fused
    fused = RULES[kind]([each[..., :vocabulary] for each in logits], weights, options)
    return torch.nn.functional.pad(fused, (0, rows - vocabulary), value=-torch.inf)
