"""What a composed model gives the choices of a row: Σ log p of each.

    prompt p p p p          read once          p p p p c c     choice 1
    choices go on from there                         └ d d d   choice 2

Where a token across the boundary makes the prompt's last tokens differ between choices, what they
have in common is read once and the rest again with each; it is fed and not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.decoding.forced_sweep import Reader, reader_of
from engine.decoding.inputs import CANONICAL, NONE_OWN, Bucket, Fused, Own, Tick, no_tick, rows_of
from engine.decoding.teacher_forced import swept_choice_log_probs, swept_log_probs
from engine.scoring.encoding import Halves, Ids


@dataclass(frozen=True)
class Choices:
    """One row's choices, in their order.

    Attributes:
        sums: Σ log p of what is scored of each.
        tokens: how many tokens that is.
        alone: Σ log p of each without the prompt; None if the scorer does not ask.
    """

    sums: tuple[float, ...]
    tokens: tuple[int, ...]
    alone: tuple[float, ...] | None = None


def common(texts: Sequence[Ids]) -> Ids:
    """What all of them begin with."""
    first, last = min(texts), max(texts)
    pairs = enumerate(zip(first, last, strict=False))
    return first[: next((i for i, (a, b) in pairs if a != b), min(len(first), len(last)))]


def choice_sums(
    model: Fused,
    rows: Sequence[Sequence[Halves]],
    *,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    own: Own = NONE_OWN,
) -> list[tuple[float, ...]]:
    """Σ log p of each row's choices.

    Args:
        own: what modules read first in each row, before any of its choices.

    Raises:
        BadInput: as for `choice_log_probs`.
    """
    reader = reader_of(model, None, tick)
    found = swept_choice_sums(model, reader, rows, bucket=bucket, tick=tick, own=own)
    return [tuple(each[0].tolist()) for each in found]


def swept_choice_sums(
    model: Fused,
    reader: Reader,
    rows: Sequence[Sequence[Halves]],
    *,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
    own: Own = NONE_OWN,
) -> list[Tensor]:
    """The same under every mixture that a reader reads: float64 [mixtures, choices] a row."""
    results = [torch.zeros(reader.count, 0, dtype=torch.float64)] * len(rows)
    stems = [common([prompt for prompt, _ in pairs]) for pairs in rows]
    whole = [not own or all(prompt == stem for prompt, _ in pairs)
             for stem, pairs in zip(stems, rows, strict=True)]  # fmt: skip
    shared = [place for place, stem in enumerate(stems) if stem and whole[place]]
    tails = [
        [(*prompt[len(stems[place]) :], *ids) for prompt, ids in rows[place]] for place in shared
    ]
    found = swept_choice_log_probs(
        model, reader, [stems[place] for place in shared], tails, bucket=bucket, tick=tick,
        own=rows_of(own, shared),
    )  # fmt: skip
    for place, parts in zip(shared, found, strict=True):
        results[place] = _sums(parts, rows[place])
    # nothing in common, not even an opening token; or what others read leaves out the rest
    for place in sorted(set(range(len(rows))) - set(shared)):
        prompts, ids = [list(each) for each in zip(*rows[place], strict=True)]
        theirs = rows_of(own, [place] * len(ids))
        parts = swept_log_probs(model, reader, prompts, ids, bucket=bucket, tick=tick, own=theirs)
        results[place] = _sums(parts, rows[place])
    return results


def _sums(parts: Sequence[Tensor], pairs: Sequence[Halves]) -> Tensor:
    sums = [
        _added(part[:, part.shape[1] - len(ids) :])
        for part, (_, ids) in zip(parts, pairs, strict=True)
    ]
    return torch.stack(sums, 1)


def _added(values: Tensor) -> Tensor:
    """Sums of rows, float64, one column after the other: as many rows as there are, each alike."""
    total = torch.zeros(len(values), dtype=torch.float64)
    for column in values.double().unbind(1):
        total += column
    return total


def alone_sums(
    model: Fused,
    rows: Sequence[Sequence[Halves]],
    *,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
) -> list[tuple[float, ...]]:
    """Σ log p of each row's choices without a prompt, each distinct one measured once."""
    found = swept_alone_sums(model, reader_of(model, None, tick), rows, bucket=bucket, tick=tick)
    return [tuple(each[0].tolist()) for each in found]


def swept_alone_sums(
    model: Fused,
    reader: Reader,
    rows: Sequence[Sequence[Halves]],
    *,
    bucket: Bucket = CANONICAL,
    tick: Tick = no_tick,
) -> list[Tensor]:
    """The same under every mixture that a reader reads: float64 [mixtures, choices] a row."""
    pairs = list(dict.fromkeys(pair for row in rows for pair in row))
    prompts, ids = [prompt for prompt, _ in pairs], [scored for _, scored in pairs]
    found = swept_log_probs(model, reader, prompts, ids, bucket=bucket, tick=tick)
    sums = {pair: _added(part) for pair, part in zip(pairs, found, strict=True)}
    return [torch.stack([sums[pair] for pair in row], 1) for row in rows]
