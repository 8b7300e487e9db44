"""Log-probabilities of given texts: no token is chosen; each is fed and its probability read.

    context c c c c | continuation x y z        fed: c c c c x y
                            log p of x y z      read at:   c x y

The same batches as the decode loop (left-padded, so all continuations end in the last column) and
the same logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

import engine.decoding.trial
from engine.decoding.batch import Batch
from engine.decoding.inputs import (
    CANONICAL,
    NONE_OWN,
    Bucket,
    Fused,
    Own,
    Prompts,
    Tick,
    check_ids,
    columns_of,
    followed,
    no_tick,
    rows_of,
)
from engine.decoding.memory import within_memory
from engine.decoding.soundness import alike, refuse_alike, refuse_infinite

assert engine.decoding.trial  # importing it lets a class that nobody spoke of be tried


def _token_log_probs(logits: Tensor, ids: Tensor, read: Tensor) -> Tensor:
    """log p of `ids` [rows, columns] under `logits` [rows, columns, vocabulary], float32.

    Args:
        read: bool [rows, columns]: where it is asked for.

    Raises:
        Unsound: logits that are read are not finite.
    """
    total = logits.logsumexp(-1)
    refuse_infinite(total, read)
    return logits.gather(-1, ids[..., None]).squeeze(-1) - total


def _check(model: Fused, contexts: Prompts, continuations: Prompts, own: Own) -> None:
    if len(contexts) != len(continuations):
        raise ValueError(f"{len(contexts)} contexts for {len(continuations)} continuations")
    check_ids(model, contexts, [0] * len(contexts), "more", own)
    fed = [[*context, *more] for context, more in zip(contexts, continuations, strict=True)]
    check_ids(model, fed, [0] * len(fed), "more", followed(own, continuations))


def _batches(
    models: Sequence[tuple[Fused, Own]], contexts: Prompts, continuations: Prompts, bucket: Bucket
) -> Iterator[tuple[list[int], list[list[int]], list[Own]]]:
    """(indices, ids to feed, what modules of each model are fed instead) of each batch;
    continuations without tokens are left out."""
    some = [index for index, more in enumerate(continuations) if len(more)]
    more = [continuations[index][:-1] for index in some]
    fed = [[*contexts[index], *after] for index, after in zip(some, more, strict=True)]
    owns = [followed(rows_of(own, some), more) for _, own in models]
    pairs = zip(models, owns, strict=True)
    columns = [columns_of(model, fed, own) for (model, _), own in pairs]
    longest = [max(each) for each in zip(*(lengths for lengths, _ in columns), strict=True)]
    sizes = list(zip(*(each for _, each in columns), strict=True))
    for chosen in bucket.batches(longest, sizes):
        theirs = [rows_of(own, chosen) for own in owns]
        yield [some[each] for each in chosen], [fed[each] for each in chosen], theirs


def _align(rows: Sequence[Sequence[int]], width: int, device: torch.device, left: bool) -> Tensor:
    """int64 [rows, width]: ids padded with 0 on the left or the right."""
    filled = [
        [0] * (width - len(ids)) + list(ids) if left else list(ids) + [0] * (width - len(ids))
        for ids in rows
    ]
    return torch.tensor(filled, dtype=torch.int64, device=device).view(len(rows), width)


def _read(lengths: Sequence[int], width: int, device: torch.device) -> Tensor:
    """bool [rows, width]: the columns whose logits are read, the last ones of each row."""
    columns = torch.arange(width - 1, -1, -1, device=device)
    return columns < torch.tensor(lengths, device=device)[:, None]


def log_probs(
    model: Fused,
    contexts: Prompts,
    continuations: Prompts,
    *,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    own: Own = NONE_OWN,
) -> list[Tensor]:
    """log p of every continuation token, given its context and the tokens before it.

    Args:
        own: what modules read instead of the contexts.

    Returns:
        One tensor a pair, float32 [len(continuation)] on the CPU, in the order given.

    Raises:
        BadInput: an empty context, a text too long for a model, or an id no model embeds.
        Unsound: the logits are alike, or not finite.
    """
    _check(model, contexts, continuations, own)
    bucket = within_memory(bucket, model)
    results = [torch.zeros(0) for _ in contexts]
    for indices, fed, [theirs] in _batches([(model, own)], contexts, continuations, bucket):
        batch = Batch(model, fed, bucket, tick, own=theirs)
        wanted = [continuations[index] for index in indices]
        span = max(len(ids) for ids in wanted)
        targets = _align(wanted, span, batch.device, left=True)
        read = _read([len(ids) for ids in wanted], span, batch.device)
        parts = []
        for column, logits in batch.read(span):
            here = slice(
                column - (batch.width - span), column - (batch.width - span) + logits.shape[1]
            )
            refuse_alike(alike(logits, model.vocabulary), read[:, here])
            parts.append(_token_log_probs(logits, targets[:, here], read[:, here]))
        table = torch.cat(parts, 1).cpu()
        for row, (index, ids) in enumerate(zip(indices, wanted, strict=True)):
            results[index] = table[row, span - len(ids) :].clone()
    return results


def choice_log_probs(
    model: Fused,
    prompts: Prompts,
    choices: Sequence[Prompts],
    *,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    own: Own = NONE_OWN,
) -> list[list[Tensor]]:
    """log p of every token of every choice; the prompt is read once and its cache reused.

    Args:
        choices: for each prompt the token ids of its choices.
        own: what modules read instead of the prompts.

    Returns:
        For each prompt one tensor a choice, float32 [len(choice)] on the CPU, in the order given.

    Raises:
        BadInput: as for `log_probs`.
    """
    if len(prompts) != len(choices):
        raise ValueError(f"{len(prompts)} prompts for choices of {len(choices)}")
    for index, (prompt, each) in enumerate(zip(prompts, choices, strict=True)):
        count = max(1, len(each))
        _check(model, [prompt] * count, each or [[]], rows_of(own, [index] * count))
    results = [[torch.zeros(0) for _ in each] for each in choices]
    bucket = within_memory(bucket, model)
    longest_choice = [max((len(ids) for ids in each), default=0) for each in choices]
    read_first, sizes = columns_of(model, prompts, own)
    columns = [size + more for size, more in zip(read_first, longest_choice, strict=True)]
    for indices in bucket.batches(columns, sizes):
        room = bucket.fit(max(columns[index] for index in indices))
        furthest = max(longest_choice[index] for index in indices)
        rows = [prompts[index] for index in indices]
        batch = Batch(model, rows, bucket, tick, own=rows_of(own, indices))
        if not batch.feeding.branches or batch.beyond_horizon(batch.width + furthest):
            for index in indices:  # the prompt is read again with each of its choices
                count = len(choices[index])
                theirs = rows_of(own, [index] * count)
                results[index] = log_probs(
                    model, [prompts[index]] * count, choices[index], bucket=bucket, tick=tick,
                    own=theirs,
                )  # fmt: skip
            continue
        (_, logits) = list(batch.read())[-1]
        refuse_alike(alike(logits[:, -1], model.vocabulary))
        first = logits[:, -1].log_softmax(-1)
        refuse_infinite(first.amax(-1))
        pairs = [
            (row, number)
            for row, index in enumerate(indices)
            for number in range(len(choices[index]))
        ]
        pairs = [(row, number) for row, number in pairs if len(choices[indices[row]][number])]
        for start in range(0, len(pairs), room):
            group = pairs[start : start + room]
            taken = [row for row, _ in group]
            wanted = [choices[indices[row]][number] for row, number in group]
            heads = torch.tensor([ids[0] for ids in wanted], device=batch.device)
            parts = [first[torch.tensor(taken, device=batch.device), heads][:, None]]
            longest = max(len(ids) for ids in wanted)
            if longest > 1:
                table = _align(wanted, longest, batch.device, left=False)
                rest = batch.branch(taken)
                logits = rest.feed(table[:, :-1], keep=longest - 1)
                lengths = [len(ids) - 1 for ids in wanted]
                read = _read(lengths, longest - 1, batch.device).flip(1)
                parts.append(_token_log_probs(logits, table[:, 1:], read))
                refuse_alike(alike(logits, model.vocabulary), read)
            found = torch.cat(parts, 1).cpu()
            for line, ((row, number), ids) in enumerate(zip(group, wanted, strict=True)):
                results[indices[row]][number] = found[line, : len(ids)].clone()
    return results


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
    _check(model, contexts, continuations, own)
    _check(other, contexts, continuations, others)
    bucket = within_memory(bucket, model, other)
    # rounded logits on one side only would show as a divergence of a model to itself
    widen = any(each.mixture is not None for each in (model, other))
    results = [torch.zeros(0) for _ in contexts]
    both = [(model, own), (other, others)]
    for indices, fed, instead in _batches(both, contexts, continuations, bucket):
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
        read, place = _read(lengths, span, pair[0].device), 0
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
