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
from engine.decoding.forced_sweep import Reader, reader_of
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

assert engine.decoding.trial  # importing it lets a class that nobody spoke of be tried


def check_pairs(model: Fused, contexts: Prompts, continuations: Prompts, own: Own) -> None:
    if len(contexts) != len(continuations):
        raise ValueError(f"{len(contexts)} contexts for {len(continuations)} continuations")
    check_ids(model, contexts, [0] * len(contexts), "more", own)
    fed = [[*context, *more] for context, more in zip(contexts, continuations, strict=True)]
    check_ids(model, fed, [0] * len(fed), "more", followed(own, continuations))


def batches_of(
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


def read_columns(lengths: Sequence[int], width: int, device: torch.device) -> Tensor:
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
    reader = reader_of(model, None, tick)
    found = swept_log_probs(
        model, reader, contexts, continuations, bucket=bucket, tick=tick, own=own
    )
    return [each[0] for each in found]


def swept_log_probs(
    model: Fused,
    reader: Reader,
    contexts: Prompts,
    continuations: Prompts,
    *,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    own: Own = NONE_OWN,
) -> list[Tensor]:
    """The same under every mixture that a reader reads: float32 [mixtures, len(continuation)]."""
    check_pairs(model, contexts, continuations, own)
    bucket = within_memory(bucket, model)
    results = [torch.zeros(reader.count, 0) for _ in contexts]
    for indices, fed, [theirs] in batches_of([(model, own)], contexts, continuations, bucket):
        batch = Batch(model, fed, bucket, tick, own=theirs)
        wanted = [continuations[index] for index in indices]
        span = max(len(ids) for ids in wanted)
        targets = _align(wanted, span, batch.device, left=True)[..., None]
        read = read_columns([len(ids) for ids in wanted], span, batch.device)
        parts, place = [], 0
        for _, logits in batch.read_apart(span):
            here = slice(place, place := place + logits[0].shape[1])
            parts.append(reader.read(logits, targets[:, here], read[:, here])[..., 0])
        table = torch.cat(parts, 2).cpu()
        for row, (index, ids) in enumerate(zip(indices, wanted, strict=True)):
            results[index] = table[:, row, span - len(ids) :].clone()
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
    reader = reader_of(model, None, tick)
    found = swept_choice_log_probs(
        model, reader, prompts, choices, bucket=bucket, tick=tick, own=own
    )
    return [[part[0] for part in each] for each in found]


def swept_choice_log_probs(
    model: Fused,
    reader: Reader,
    prompts: Prompts,
    choices: Sequence[Prompts],
    *,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    own: Own = NONE_OWN,
) -> list[list[Tensor]]:
    """The same under every mixture that a reader reads: float32 [mixtures, len(choice)]."""
    if len(prompts) != len(choices):
        raise ValueError(f"{len(prompts)} prompts for choices of {len(choices)}")
    for index, (prompt, each) in enumerate(zip(prompts, choices, strict=True)):
        count = max(1, len(each))
        check_pairs(model, [prompt] * count, each or [[]], rows_of(own, [index] * count))
    results = [[torch.zeros(reader.count, 0) for _ in each] for each in choices]
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
                results[index] = swept_log_probs(
                    model, reader, [prompts[index]] * count, choices[index], bucket=bucket,
                    tick=tick, own=theirs,
                )  # fmt: skip
            continue
        _, logits = list(batch.read_apart())[-1]
        logits = [each[:, -1:] for each in logits]
        first = _heads(reader, logits, [choices[index] for index in indices])
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
            parts = [first[:, taken, [number for _, number in group]][..., None]]
            longest = max(len(ids) for ids in wanted)
            if longest > 1:
                table = _align(wanted, longest, batch.device, left=False)
                rest = batch.branch(taken)
                logits = rest.feed_apart(table[:, :-1], keep=longest - 1)
                lengths = [len(ids) - 1 for ids in wanted]
                read = read_columns(lengths, longest - 1, batch.device).flip(1)
                parts.append(reader.read(logits, table[:, 1:, None], read)[..., 0])
            found = torch.cat(parts, 2).cpu()
            for line, ((row, number), ids) in enumerate(zip(group, wanted, strict=True)):
                results[indices[row]][number] = found[:, line, : len(ids)].clone()
    return results


def _heads(reader: Reader, logits: list[Tensor], choices: Sequence[Prompts]) -> Tensor:
    """log p of the first token of each row's choices, [mixtures, rows, choices].

    Args:
        logits: [rows, 1, vocabulary rows] a model, where the prompts end.
    """
    device, most = logits[0].device, max(1, *map(len, choices))
    ids = [[each[0] if len(each) else 0 for each in row] for row in choices]
    heads = _align(ids, most, device, left=False)[:, None]
    read = torch.ones(len(ids), 1, dtype=torch.bool, device=device)
    return reader.read(logits, heads, read, last=True)[:, :, 0]
