"""The decode loop: prompts in, token ids out, for one model or several fused.

Prompts are sorted by length and cut into the bucket's batches; each batch is read once, then grows
a column a step (`engine.decoding.writing`), or is decided from what was said before, as far as that
goes (`engine.decoding.replay`).

`generate` runs the loop to its end; `steps` is the loop itself, which rests after every step, so
that several of them can be run in turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import engine.decoding.trial
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
from engine.decoding.lazy import batch_of
from engine.decoding.memory import within_memory
from engine.decoding.replay import Kept, Replay
from engine.decoding.sampling import GREEDY, Sampling, row_keys
from engine.decoding.writing import Generation, Line, Writing, write
from engine.errors import bad

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Asked",
    "Bucket",
    "Fused",
    "Generation",
    "Kept",
    "Sampling",
    "Tick",
    "generate",
    "steps",
]

assert engine.decoding.trial  # importing it lets a class that nobody spoke of be tried


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
    kept: Kept | None = None,
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
        kept: what the models said before, of which fused ones take what they can.

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
        kept=kept,
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
    kept: Kept | None = None,
    on_logits: Callable[[Sequence[int], Tensor], None] | None = None,
    on_ended: Callable[[int, Generation], None] | None = None,
    asked: Sequence[Asked] | None = None,
) -> Generator[None, None, list[Generation]]:
    """`generate` step by step: yields when every row of a batch has its next token, before that
    token is fed. While suspended, the modules may hold other weights; its own must be restored
    before it continues. Checks its arguments at the first step.

    Args:
        on_logits: called with (prompt index of each row, float32 [rows, vocabulary rows]) before
            the tokens that were chosen from these logits are reported; a row that has ended may be
            among them. Nothing is taken from what is kept then, nor with `on_ended`.
        on_ended: called with (prompt index, what followed it) at the step at which a row ends.
        asked: of each prompt, where they are of several requests; in place of the seed, the number
            of the prompt, and max_new_tokens.
    """
    numbers = range(len(prompts)) if owners is None else _numbered(owners)
    limits = [max_new_tokens] * len(prompts) if asked is None else [each.most for each in asked]
    if min(limits, default=max_new_tokens) < 1:
        raise bad("max_new_tokens", f"expected 1 or more, got {min(limits)}")
    check_ids(model, prompts, limits, "new ones", own)
    writing = Writing(
        max_new_tokens, end_ids, sampling, stopped, on_tokens, on_logits, on_ended, limits
    )
    results: dict[int, Generation] = {}
    bucket = within_memory(bucket, model)
    watched = on_logits is not None or on_ended is not None
    for indices in _batches(bucket, model, prompts, limits, own):
        rows, theirs = [prompts[index] for index in indices], rows_of(own, indices)
        if asked is None:
            keys = row_keys(sampling.seed, [numbers[index] for index in indices]).tolist()
        else:
            keys = [asked[index].key for index in indices]
        lines = [Line(*each) for each in zip(indices, keys, strict=True)]
        mixture = None if owners is not None or watched else model.mixture
        if kept and mixture is not None and not mixture.rests:
            replay = Replay(kept, model, mixture, rows, theirs, bucket, tick, writing)
            lines = yield from replay.write(lines)
        else:
            of = None if owners is None else [owners[index] for index in indices]
            batch = batch_of(model, rows, bucket, tick, of, theirs)
            *_, (_, logits) = batch.read()
            yield from write(batch, logits, lines, writing)
        results |= {each.index: each.generation for each in lines}
    return [results[index] for index in range(len(prompts))]


@dataclass(frozen=True)
class Asked:
    """What is asked of one row.

    Attributes:
        seed: of its noise, with `number`, its prompt's place among those of its request.
        most: new tokens.
    """

    seed: int
    number: int
    most: int

    @property
    def key(self) -> int:
        return int(row_keys(self.seed, [self.number]))


def fits_one_batch(
    model: Fused, prompts: Sequence[Sequence[int]], limits: Sequence[int], own: Own = NONE_OWN
) -> bool:
    """Whether these rows are written in one batch, rather than one after another.

    Args:
        limits: new tokens of each.
    """
    return len(_batches(within_memory(CANONICAL, model), model, prompts, limits, own)) == 1


def _batches(
    bucket: Bucket,
    model: Fused,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    own: Own,
) -> list[list[int]]:
    longest, sizes = columns_of(model, prompts, own)
    lengths = [each + most for each, most in zip(longest, limits, strict=True)]
    return bucket.batches(lengths, sizes)


def _numbered(owners: Sequence[int]) -> list[int]:
    """The place of each prompt among those of its owner."""
    counts: Counter[int] = Counter()
    found = []
    for owner in owners:
        found.append(counts[owner])
        counts[owner] += 1
    return found
