"""Who said it: what each term of a mixture did to the probability of each token of given texts.

    texts ─► every model's logits, read once ─┬─ the mixture            ─► q(y), entropy of q
                                              ├─ the same, a term less  ─► q(y) without it
                                              └─ centred, model by model ─► contributions

Without a term is what the method itself makes of its coefficients with that one at 0, so that an
expert of proxy-tuning takes its share of −base along, and whatever a method chooses token by token
is chosen anew. A model's contribution to a token y is

    w_m (log p_m(y) − Σ_v q(v) log p_m(v))          q the mixture's distribution

and the contributions sum to log q(y) + H(q): by how much y is likelier than the mixture's tokens
are on average, in nats. Both are of the mixture's own distribution, before any temperature, top p
or top k.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.decoding.batch import Batch
from engine.decoding.fusion import Mixture, combine
from engine.decoding.inputs import (
    CANONICAL,
    Bucket,
    Fused,
    Own,
    Prompts,
    Tick,
    embedded,
    no_tick,
)
from engine.decoding.memory import within_memory
from engine.decoding.rules import in_doubt
from engine.decoding.soundness import alike, refuse_alike, refuse_infinite
from engine.decoding.teacher_forced import batches_of, check_pairs, read_columns

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SUMS = frozenset(("linear", "nucleus", "plausible", "gated", "dynamic"))
"""Kinds whose logits are a sum over the models, where a token is not ruled out."""

Pass = tuple[str, str | None]
"""A model and what it reads instead of its own words, as in `Mixture.passes`."""


@dataclass(frozen=True)
class Attribution:
    """What moved the tokens of one text.

    Attributes:
        probability: float32 [tokens], of each token under the mixture.
        entropy: float32 [tokens], of the mixture's distribution there, in nats.
        without: a mixture each, float32 [tokens]: the token's probability under it.
        contributions: of each pass of the mixture, float32 [tokens], in nats; they sum to log
            probability + entropy. None where the logits are no sum over models.
    """

    probability: Tensor
    entropy: Tensor
    without: tuple[Tensor, ...]
    contributions: tuple[Tensor, ...] | None


@dataclass(frozen=True)
class _Together:
    """Every pass of several mixtures, each once; `mixture` says that they are run, not how they are
    combined."""

    modules: tuple[PreTrainedModel, ...]
    mixture: Mixture
    vocabulary: int | None = None
    rows: int | None = None


def attribute(
    model: Fused,
    without: Sequence[Fused],
    read: Sequence[tuple[Prompts, Own]],
    continuations: Prompts,
    *,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
) -> list[Attribution]:
    """The attribution of each continuation's tokens; no model reads a text twice, however many
    mixtures there are.

    Args:
        model: has a mixture.
        without: mixtures of the same family to compare with.
        read: for `model`, then for each of `without`: the prompts, and what modules read instead.
        continuations: token ids that follow each prompt.

    Raises:
        BadInput: a prompt without ids, a text too long for a model, an id that one does not embed.
        Unsound: the logits are alike, or not finite.
    """
    every = [model, *without]
    together, places, said = _together(every, read)
    contexts, own = said
    check_pairs(together, contexts, continuations, own)
    bucket = within_memory(bucket, together)
    values = len(together.modules) * max(map(embedded, together.modules))
    count = 2 + len(without) + len(places[0])
    found = [torch.zeros(count, 0) for _ in contexts]
    for indices, fed, [theirs] in batches_of([(together, own)], contexts, continuations, bucket):
        batch = Batch(together, fed, bucket, tick, own=theirs)
        lengths = [len(continuations[index]) for index in indices]
        span = max(lengths)
        wanted = read_columns(lengths, span, batch.device)
        ids = torch.zeros(len(indices), span, dtype=torch.int64)
        for row, (index, length) in enumerate(zip(indices, lengths, strict=True)):
            ids[row, span - length :] = torch.tensor(continuations[index])
        ids, place, parts = ids.to(batch.device), 0, []
        for _, logits in batch.read_apart(span, values):
            here = slice(place, place := place + logits[0].shape[1])
            shares = [[logits[each] for each in at] for at in places]
            parts.append(_moved(every, shares, ids[:, here], wanted[:, here]))
        table = torch.cat(parts, -1).cpu()
        for row, (index, length) in enumerate(zip(indices, lengths, strict=True)):
            found[index] = table[:, row, span - length :].clone()
    assert model.mixture is not None
    return [_attribution(each, len(without), model.mixture.kind in SUMS) for each in found]


def _attribution(rows: Tensor, without: int, summed: bool) -> Attribution:
    """Of float32 [2 + without + passes, tokens], as `_moved` gives them."""
    first, own = tuple(rows[2 : 2 + without]), tuple(rows[2 + without :])
    return Attribution(rows[0], rows[1], first, own if summed else None)


def _together(
    models: Sequence[Fused], read: Sequence[tuple[Prompts, Own]]
) -> tuple[_Together, list[list[int]], tuple[Prompts, Own]]:
    """All passes of the models, where each model's own are among them, and what they read."""
    found: dict[Pass, tuple[PreTrainedModel, Prompts]] = {}
    places = []
    for model, (prompts, own) in zip(models, read, strict=True):
        if model.mixture is None:
            raise ValueError("a model without a mixture has no terms")
        passes = model.mixture.passes
        for at, (each, module) in enumerate(zip(passes, model.modules, strict=True)):
            found.setdefault(each, (module, own.get(at, prompts)))
        places.append([list(found).index(each) for each in passes])
    names, instead = zip(*found, strict=True)
    modules, prompts_of = zip(*found.values(), strict=True)
    mixture = Mixture(names, (1.0,) * len(names), instead=instead)
    first, *others = prompts_of
    own = {at: each for at, each in enumerate(others, 1) if each != first}
    return _Together(modules, mixture), places, (first, own)


@torch.inference_mode()
def _moved(
    models: Sequence[Fused], shares: Sequence[Sequence[Tensor]], ids: Tensor, wanted: Tensor
) -> Tensor:
    """Probability and entropy under the first model, the probability under each other one, and the
    contribution of each pass of the first (0 where its logits are no sum).

    Args:
        shares: of each model the logits of its passes, float32 [rows, columns, vocabulary rows].
        ids: int64 [rows, columns].
        wanted: bool [rows, columns]: where it is asked for.

    Returns:
        float32 [2 + other models + passes of the first, rows, columns].
    """
    said: list[Tensor] = []
    found: list[Tensor] = []
    log_q = torch.empty(0)
    for place, (model, logits) in enumerate(zip(models, shares, strict=True)):
        assert model.mixture is not None
        # cut to the rows that the model by itself has; combining may overwrite what it is given
        own = [each[..., : model.rows].clone() for each in logits]
        fused = combine(model.mixture, own, model.vocabulary, said if not place else None)
        total = fused.logsumexp(-1)
        refuse_infinite(total, wanted)
        if not place:
            refuse_alike(alike(fused, model.vocabulary), wanted)
            log_q = fused - total[..., None]
            found += [_at(log_q, ids).exp(), _mean(log_q.exp(), -log_q)]
        else:
            found.append((_at(fused, ids) - total).exp())
    first = models[0].mixture
    assert first is not None
    q, size = log_q.exp(), log_q.shape[-1]
    lead = shares[0][0][..., : models[0].rows][..., : models[0].vocabulary]
    for weight, each in zip(_weights(first, said, lead), shares[0], strict=True):
        if first.kind not in SUMS:
            found.append(torch.zeros_like(found[0]))
            continue
        each = each[..., :size]
        found.append(_mean(q, _at(each, ids)[..., None] - each) * weight)
    return torch.stack(found)


def _at(values: Tensor, ids: Tensor) -> Tensor:
    """The value of each position's id."""
    return values.gather(-1, ids[..., None]).squeeze(-1)


def _mean(q: Tensor, values: Tensor) -> Tensor:
    """Σ q v; what has no probability has no part in it, whatever its value is."""
    return (q * values).masked_fill_(q == 0.0, 0.0).sum(-1)


def _weights(mixture: Mixture, said: Sequence[Tensor], lead: Tensor) -> Iterator[Tensor | float]:
    """What each pass's logits are multiplied by: a number, or float32 [rows, columns].

    Args:
        said: strengths that were chosen.
        lead: the first pass's logits, which may decide.
    """
    options = dict(mixture.options)
    if mixture.kind == "gated":
        asked = in_doubt(lead, options).float()
        first, *others = mixture.weights
        yield 1.0 - asked + asked * first
        yield from (asked * weight for weight in others)
        return
    if mixture.kind != "dynamic":
        yield from mixture.weights
        return
    found = said[0].float()
    front = 2 if options["target"] else 1
    weights = mixture.weights[front:]
    experts: list[Tensor] = [
        found[..., 0] * weight if options["directed"] else found[..., place]
        for place, weight in enumerate(weights)
    ]
    all_of_them = torch.stack(experts).sum(0)
    yield from (1.0, -all_of_them) if front == 2 else (1.0 - all_of_them,)
    yield from experts
