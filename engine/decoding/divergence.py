"""How far a model's next-token distributions are from another's, on given texts."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.decoding.batch import Batch
from engine.decoding.inputs import CANONICAL, NONE_OWN, Bucket, Fused, Own, Prompts, Tick, no_tick
from engine.decoding.memory import within_memory
from engine.decoding.soundness import alike, refuse_alike, refuse_infinite
from engine.decoding.teacher_forced import batches_of, check_pairs, read_columns


def kl_to(
    model: Fused,
    other: Fused,
    contexts: Prompts,
    continuations: Prompts,
    *,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    own: Own = NONE_OWN,
    others: Own = NONE_OWN,
) -> list[Tensor]:
    """KL(model ‖ other) of the next-token distributions where each continuation token is predicted.

    Both distributions are taken over the ids that both models can say (common rows and vocabulary).

    Args:
        own: what modules of the model read instead of the contexts.
        others: the same of the other model.

    Returns:
        One tensor a pair, float32 [len(continuation)] on the CPU, in nats, never below 0, in the
        order given.

    Raises:
        BadInput: as for `log_probs`, on either model.
    """
    check_pairs(model, contexts, continuations, own)
    check_pairs(other, contexts, continuations, others)
    bucket = within_memory(bucket, model, other)
    # rounded logits on one side only would show as a divergence of a model to itself
    widen = any(each.mixture is not None for each in (model, other))
    results = [torch.zeros(0) for _ in contexts]
    both = [(model, own), (other, others)]
    for indices, fed, instead in batches_of(both, contexts, continuations, bucket):
        lengths = [len(continuations[index]) for index in indices]
        span = max(lengths)
        pair = [
            Batch(each, fed, bucket, tick, widen, own=theirs)
            for (each, _), theirs in zip(both, instead, strict=True)
        ]
        limits = [
            each.vocabulary
            for each in (model, other)
            if each.mixture is not None and each.vocabulary
        ]
        read, place = read_columns(lengths, span, pair[0].device), 0
        parts = []
        values = max(each.values for each in pair)  # the same chunks for both
        whole = any(each.whole for each in pair)
        width = max(each.width for each in pair)
        chunks = (each.read(span, values, whole, width) for each in pair)
        for (_, ours), (_, theirs) in zip(*chunks, strict=True):
            common = min(ours.shape[-1], theirs.shape[-1], *limits)
            p, q = (each[..., :common].log_softmax(-1) for each in (ours, theirs.to(ours.device)))
            # what is ruled out has no part in it: 0 · log 0 is 0
            divergence = (p.exp() * (p - q)).masked_fill(p == -torch.inf, 0.0).sum(-1)
            parts.append(divergence.clamp(min=0.0))
            here = read[:, place : place + ours.shape[1]]
            refuse_infinite(divergence, here)
            refuse_alike(alike(ours, common), here)
            refuse_alike(alike(theirs, common), here.to(theirs.device))
            place += ours.shape[1]
        table = torch.cat(parts, 1).cpu()
        for row, (index, length) in enumerate(zip(indices, lengths, strict=True)):
            results[index] = table[row, span - length :].clone()
    return results
