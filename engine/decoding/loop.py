"""The decode loop: prompts in, token ids out, for one model or several fused.

Prompts are sorted by length and cut into the bucket's batches; each batch is read once, then grows
a column a step. Rows that are finished leave the batch. One transfer from the device a step.

`generate` runs the loop to its end; `steps` is the loop itself, which rests after every step, so
that several of them can be run in turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal

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
    Tick,
    check_ids,
    columns_of,
    no_tick,
    rows_of,
)
from engine.decoding.memory import within_memory
from engine.decoding.sampling import GREEDY, Sampling, choose, row_keys
from engine.decoding.soundness import NOT_FINITE, Unsound, alike, refuse_alike
from engine.errors import bad

__all__ = ["Bucket", "Fused", "Generation", "Sampling", "Tick", "generate", "steps"]

assert engine.decoding.trial  # importing it lets a class that nobody spoke of be tried

Ended = Literal["end", "stop", "length"]


@dataclass(frozen=True)
class Generation:
    """What followed one prompt.

    Attributes:
        token_ids: the new tokens, without the end token.
        ended: by an end token, by `stopped`, or by max_new_tokens.
        strengths: of `Mixture.chosen`, those that each of the tokens was chosen with, then the end
            token, where it was.
    """

    token_ids: tuple[int, ...]
    ended: Ended
    strengths: tuple[tuple[float, ...], ...] = ()


def generate(
    model: Fused,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    end_ids: frozenset[int],
    sampling: Sampling = GREEDY,
    stopped: Callable[[int, list[int]], bool] | None = None,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    on_tokens: Callable[[int, int], None] | None = None,
    own: Own = NONE_OWN,
) -> list[Generation]:
    """Continue every prompt.

    Args:
        prompts: token ids, special tokens included.
        end_ids: any of these ids ends its row and is not part of the result.
        stopped: called with (prompt index, its new ids so far) after each new token; true ends the
            row.
        bucket: batch make-up; in float32 it changes no text, except where the two best logits are
            within 1e-4.
        tick: called before each forward pass of each module; an exception from it ends the call.
        on_tokens: called with (prompt index, new id) for each token that is part of the result,
            before `stopped`.
        own: what modules read instead of the prompts; what they are fed after it is the same.

    Returns:
        One generation per prompt, in the order of the prompts.

    Raises:
        BadInput: an empty prompt, one too long for a model with max_new_tokens, or an id no model
            embeds.
        Unsound: the logits are not finite, or all alike.
    """
    loop = steps(
        model,
        prompts,
        max_new_tokens=max_new_tokens,
        end_ids=end_ids,
        sampling=sampling,
        stopped=stopped,
        bucket=bucket,
        tick=tick,
        on_tokens=on_tokens,
        own=own,
    )
    while True:
        try:
            next(loop)
        except StopIteration as end:
            return list(end.value)


def steps(
    model: Fused,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    end_ids: frozenset[int],
    sampling: Sampling = GREEDY,
    stopped: Callable[[int, list[int]], bool] | None = None,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    on_tokens: Callable[[int, int], None] | None = None,
    owners: Sequence[int] | None = None,
    own: Own = NONE_OWN,
    on_logits: Callable[[Sequence[int], Tensor], None] | None = None,
) -> Generator[None, None, list[Generation]]:
    """`generate` step by step: yields when every row of a batch has its next token, before that
    token is fed. While suspended, the modules may hold other weights; its own must be restored
    before it continues. Checks its arguments at the first step.

    Args:
        on_logits: called with (prompt index of each row, float32 [rows, vocabulary rows]) before
            the tokens that were chosen from these logits are reported; a row that has ended may be
            among them.
    """
    if max_new_tokens < 1:
        raise bad("max_new_tokens", f"expected 1 or more, got {max_new_tokens}")
    check_ids(model, prompts, [max_new_tokens] * len(prompts), "new ones", own)
    results: dict[int, Generation] = {}

    def ending(index: int, token: int, written: list[int]) -> Ended | None:
        if token in end_ids:
            return "end"
        written.append(token)
        if on_tokens is not None:
            on_tokens(index, token)
        if stopped is not None and stopped(index, written):
            return "stop"
        return "length" if len(written) >= max_new_tokens else None

    bucket = within_memory(bucket, model)
    numbers = range(len(prompts)) if owners is None else _numbered(owners)
    longest, sizes = columns_of(model, prompts, own)
    for indices in bucket.batches([each + max_new_tokens for each in longest], sizes):
        theirs = None if owners is None else [owners[index] for index in indices]
        rows = [prompts[index] for index in indices]
        batch = Batch(model, rows, bucket, tick, owners=theirs, own=rows_of(own, indices))
        (_, logits) = list(batch.read())[-1]
        alive = [(index, list[int]()) for index in indices]
        steered: dict[int, list[tuple[float, ...]]] = {index: [] for index in indices}
        keys = row_keys(sampling.seed, [numbers[index] for index in indices], batch.device)
        sound: Tensor | None = None
        running: Tensor | None = None  # rows that have not ended; None: an ended one is gone
        for position in range(max_new_tokens):
            last = logits[:, -1]
            chosen = choose(last, sampling, keys, position)
            finite = last.gather(1, chosen[:, None]).isfinite()[:, 0]
            finite = (finite if running is None else finite | ~running).all()
            sound = finite if sound is None else sound & finite
            tokens = chosen.tolist()
            if batch.strengths is not None:
                for (index, _), each in zip(alive, batch.strengths[:, -1].tolist(), strict=True):
                    steered[index].append(tuple(each))
            # at 0, 1, 2, 4, 8 …: a weight is dead at every step; of equal logits the first is the
            # largest, so that a row whose logits are all alike at another step says 0
            if position & (position - 1) == 0 or not sampling.greedy or 0 in tokens:
                refuse_alike(alike(last, model.vocabulary), running)
            if on_logits is not None:
                on_logits([index for index, _ in alive], last)
            staying = []
            for row, ((index, written), token) in enumerate(zip(alive, tokens, strict=True)):
                if index in results:
                    continue
                ended = ending(index, token, written)
                if ended is None:
                    staying.append(row)
                else:
                    used = tuple(steered[index])
                    results[index] = Generation(tuple(written), ended, used)
            if not staying:
                break
            if not batch.feeding.leaves:
                running = torch.zeros(len(alive), dtype=torch.bool, device=batch.device)
                running[staying] = True
            elif len(staying) < len(alive):
                alive = [alive[row] for row in staying]
                kept = torch.tensor(staying, device=batch.device)
                chosen, keys = chosen[kept], keys[kept]
                batch.select(staying)
            yield
            logits = batch.feed(chosen[:, None])
        if sound is not None and not bool(sound):
            raise Unsound(NOT_FINITE)
    return [results[index] for index in range(len(prompts))]


def _numbered(owners: Sequence[int]) -> list[int]:
    """The place of each prompt among those of its owner."""
    counts: Counter[int] = Counter()
    found = []
    for owner in owners:
        found.append(counts[owner])
        counts[owner] += 1
    return found
