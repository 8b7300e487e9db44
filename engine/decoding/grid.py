"""Several mixtures of the same models on the same prompts, written together.

    prompt 0   the ─┬─ cat ─── sat ───          rows are distinct prefixes, whatever the number of
                    └─ dog ─┬─ ran ───          mixtures that write them; a row parts where they
                            └─ sat ───          disagree

Neighbouring weights say much of the same, so that the models read far fewer rows than mixtures ×
prompts. What they say is taken down like that of any text (`engine.decoding.prefixes`); each
mixture's own texts are decided from there (`engine.decoding.replay`), exactly, and no model runs;
or are taken as they are written, where it is enough that they are those of some make-up of a batch.
Written ahead, where rows become more than a batch may have, those of the fewest texts are given up:
such a text goes on when its own turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from engine.decoding.batch import PREFILL_TOKENS, SCORED_VALUES, Batch
from engine.decoding.distinct import Together
from engine.decoding.fed import feeding_of
from engine.decoding.fusion import Mixture
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
    no_tick,
    rows_of,
)
from engine.decoding.memory import within_memory
from engine.decoding.prefixes import Prefixes
from engine.decoding.recording import anchors_of
from engine.decoding.sampling import GREEDY, Sampling, row_keys
from engine.decoding.writing import Generation, Line, Writing
from engine.errors import bad

ROWS = PREFILL_TOKENS // 2
"""Rows of a batch at most, so that a step takes no longer than a chunk of prompts."""


@dataclass(frozen=True)
class Fed:
    """Tokens that were written: those that are distinct by what stands before them, and all."""

    distinct: int
    all: int


def write_ahead(
    prefixes: Prefixes,
    model: Fused,
    mixtures: Sequence[Mixture],
    prompts: Prompts,
    *,
    max_new_tokens: int,
    end_ids: frozenset[int],
    sampling: Sampling = GREEDY,
    stopped: Callable[[int, list[int]], bool] | None = None,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    own: Own = NONE_OWN,
    told: Callable[[int], None] = lambda done: None,
) -> Fed:
    """Have the models say all that the texts of several mixtures need; arguments as of
    `engine.decoding.loop.generate`.

    Args:
        model: runs the modules; its own mixture is not asked for.
        mixtures: of just its modules, in their order.
        stopped: may be asked of several texts of one prompt in turns.
        told: called at every step with how many prompts have all their texts.

    Raises:
        BadInput: as `generate`.
    """
    writing = Writing(max_new_tokens, end_ids, sampling, _of_prompt(stopped, prompts), None)
    every = _batches(model, mixtures, prompts, writing, bucket, tick, own, bounded=True)
    total, done = Fed(0, 0), 0
    for together, lines in every:
        done += len(lines)
        for going in together.write(prefixes, lines):
            told(done - going)
        total = Fed(total.distinct + together.distinct, total.all + together.all)
    return total


def write_together(
    prefixes: Prefixes,
    model: Fused,
    mixtures: Sequence[Mixture],
    prompts: Prompts,
    *,
    max_new_tokens: int,
    end_ids: frozenset[int],
    sampling: Sampling = GREEDY,
    stopped: Callable[[int, list[int]], bool] | None = None,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    on_tokens: Callable[[int, int], None] | None = None,
    own: Own = NONE_OWN,
) -> Generator[None, None, list[Generation]]:
    """The texts of several mixtures step by step, as `engine.decoding.loop.steps` and with its
    arguments; as exact as those of one in another make-up of its batch.

    Args:
        model, mixtures: as of `write_ahead`; the models are `branching`.
        on_tokens: called with (number of the mixture × prompts + prompt index, new id).

    Returns:
        of each mixture one a prompt.

    Raises:
        BadInput, Unsound: as `generate`.
    """
    writing = Writing(max_new_tokens, end_ids, sampling, _of_prompt(stopped, prompts), on_tokens)
    found: dict[int, Generation] = {}
    every = _batches(model, mixtures, prompts, writing, bucket, tick, own, bounded=False)
    for together, lines in every:
        for _ in together.write(prefixes, lines):
            yield
        found |= {line.index: line.generation for each in together.texts for line in each}
    return [found[place] for place in range(len(mixtures) * len(prompts))]


def branching(model: Fused) -> bool:
    """Whether the models' batches can go on from copies of rows."""
    able = [feeding_of(each) for each in model.modules]
    return all(each.branches and each.leaves for each in able)


def _of_prompt(
    stopped: Callable[[int, list[int]], bool] | None, prompts: Prompts
) -> Callable[[int, list[int]], bool] | None:
    """The same for texts that are numbered through, mixture by mixture."""
    return stopped and (lambda place, ids: stopped(place % len(prompts), ids))


def _batches(
    model: Fused,
    mixtures: Sequence[Mixture],
    prompts: Prompts,
    writing: Writing,
    bucket: Bucket,
    tick: Tick,
    own: Own,
    *,
    bounded: bool,
) -> Iterator[tuple[Together, list[Line]]]:
    """Each batch with a line a prompt; none where mixtures cannot share one."""
    if writing.most < 1:
        raise bad("max_new_tokens", f"expected 1 or more, got {writing.most}")
    check_ids(model, prompts, [writing.most] * len(prompts), "new ones", own)
    bucket = within_memory(bucket, model)
    longest, sizes = columns_of(model, prompts, own)
    lengths = [each + writing.most for each in longest]
    for indices in bucket.batches(lengths, sizes) if branching(model) else ():
        rows, theirs = [prompts[index] for index in indices], rows_of(own, indices)
        batch = Batch(model, rows, bucket, tick, own=theirs)
        keys = row_keys(writing.sampling.seed, indices).tolist()
        lines = [Line(*each) for each in zip(indices, keys, strict=True)]
        width = bucket.width(max(lengths[index] for index in indices))
        most = _most(batch, bucket, width) if bounded else None
        anchors = anchors_of(model, rows, theirs)
        yield Together(batch, anchors, mixtures, writing, most, len(prompts)), lines


def _most(batch: Batch, bucket: Bucket, width: int) -> int:
    """Rows that a batch may have, of so many columns in the end."""
    fitting = ROWS if bucket.tokens is None else bucket.tokens // width
    values = SCORED_VALUES // (batch.values * len(batch.stages))
    return max(len(batch), min(ROWS, fitting, values))
