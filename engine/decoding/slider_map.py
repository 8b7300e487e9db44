"""The exact map of one slider: the intervals of its values on which a text is constant.

    score of token v at value x:   b_v + x · d_v           a line a token
    the token chosen at x:         the line on top         the upper envelope of the lines

At a fixed prefix no model's output depends on the slider, so that each model runs once a distinct
prefix; where the envelope changes lines inside a prefix's interval, the interval is cut and each
part goes on with a token of its own:

    [0, 2] the ──┬── [0, 0.71] cat ──── …
                 └── [0.71, 2] dog ──┬── [0.71, 1.3] barks …
                                     └── [1.3, 2]    sleeps …

At a temperature the noise of `engine.decoding.sampling` depends on neither slider nor recipe: it is
part of b_v (Gumbel-max sampling). Scores are float64 here and float32 in `engine.decoding.loop`, so
that within about 1e-5 of a boundary either of the two texts may be what decoding gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.decoding.batch import SCORED_VALUES, Batch
from engine.decoding.envelope import Piece, envelope
from engine.decoding.fusion import FILTERING
from engine.decoding.inputs import (
    NONE_OWN,
    Bucket,
    Fused,
    Own,
    Tick,
    check_ids,
    columns_of,
    embedded,
    followed,
    no_tick,
    rows_of,
)
from engine.decoding.memory import within_memory
from engine.decoding.rules import combined
from engine.decoding.sampling import GREEDY, Sampling, gumbel, row_keys
from engine.decoding.slider_line import Line
from engine.decoding.soundness import alike, refuse_alike, refuse_infinite
from engine.errors import bad

ROWS = 1024
"""Prefixes of one batch at most; fewer where their logits would be more than `SCORED_VALUES`."""

Told = Callable[[float, int], None]
"""What hears how much of a map is known, from 0 to 1, and how many texts have ended."""

VALUES = 1 << 24
"""Scores that are held at once to find an envelope: 128 MB in float64."""


@dataclass(frozen=True)
class Interval:
    """A maximal interval of the slider with one text.

    Attributes:
        low, high: where it begins and ends; the next one begins where it ends.
        token_ids: of the text, without the end token.
    """

    low: float
    high: float
    token_ids: tuple[int, ...]


def check_sampling(sampling: Sampling) -> None:
    """Refuses what rules tokens out by the probabilities of the mixture itself."""
    if not sampling.greedy and (sampling.top_p < 1.0 or sampling.top_k > 0):
        raise bad(
            "map",
            "under top_p or top_k the tokens that may be sampled depend on the slider itself",
            "Leave both out: greedy, or a temperature alone.",
        )


def slider_map(
    model: Fused,
    line: Line,
    prompts: Sequence[Sequence[int]],
    low: float,
    high: float,
    *,
    max_new_tokens: int,
    end_ids: frozenset[int],
    sampling: Sampling = GREEDY,
    stopped: Callable[[int, list[int]], bool] | None = None,
    rows: int = ROWS,
    tick: Tick = no_tick,
    own: Own = NONE_OWN,
    told: Told = lambda part, texts: None,
) -> list[list[Interval]]:
    """For every prompt the intervals from `low` to `high`, in order, without gaps.

    Args:
        model: what `line.recipe` runs as.
        rows: prefixes of one batch at most.
        prompts, max_new_tokens, end_ids, sampling, stopped, tick, own: as of
            `engine.decoding.loop.generate`.
        told: is called after each step of a batch.

    Raises:
        BadInput: as `generate`; or top_p or top_k with a temperature.
        Unsound: logits that are not finite, or all alike.
    """
    if max_new_tokens < 1:
        raise bad("max_new_tokens", f"expected 1 or more, got {max_new_tokens}")
    check_sampling(sampling)
    check_ids(model, prompts, [max_new_tokens] * len(prompts), "new ones", own)
    values = model.rows or embedded(model.modules[0])
    rows = max(1, min(rows, SCORED_VALUES // (values * len(model.modules))))
    bucket = within_memory(Bucket(rows), model)
    longest, sizes = columns_of(model, prompts, own)
    found: list[list[Interval]] = [[] for _ in prompts]
    behind = 0.0  # of the values' widths, each weighed by the tokens that are written there

    def ends(leaf: _Leaf, token: int) -> _Leaf | None:
        """The leaf with its next token; None where its text has ended, which is kept."""
        nonlocal behind
        written = leaf.written if token in end_ids else (*leaf.written, token)
        ended = token in end_ids or len(written) >= max_new_tokens
        ended = ended or (stopped is not None and stopped(leaf.prompt, list(written)))
        behind += (leaf.high - leaf.low) * (max_new_tokens - len(leaf.written) if ended else 1)
        if ended:
            found[leaf.prompt].append(Interval(leaf.low, leaf.high, written))
            return None
        return _Leaf(leaf.prompt, leaf.low, leaf.high, written)

    def stepped() -> None:
        whole = (high - low) * max_new_tokens * len(prompts)
        told(min(1.0, behind / whole), sum(map(len, found)))

    waiting = [[_Leaf(index, low, high, ()) for index in range(len(prompts))]]
    while waiting:
        leaves = waiting.pop()
        lengths = [longest[each.prompt] + max_new_tokens for each in leaves]
        read = [sizes[each.prompt] for each in leaves]
        for indices in bucket.batches(lengths, read):
            chosen = [leaves[index] for index in indices]
            room = bucket.fit(max(lengths[index] for index in indices))
            theirs = [each.prompt for each in chosen]
            text = [[*prompts[each.prompt], *each.written] for each in chosen]
            said = followed(rows_of(own, theirs), [each.written for each in chosen])
            batch = Batch(model, text, bucket, tick, own=said)
            waiting += _followed(batch, line, chosen, sampling, ends, room, stepped)
    return [_joined(sorted(each, key=lambda part: part.low)) for each in found]


@dataclass(frozen=True)
class _Leaf:
    """A prefix, and the values of the slider that lead to it."""

    prompt: int
    low: float
    high: float
    written: tuple[int, ...]


def _followed(
    batch: Batch,
    line: Line,
    leaves: list[_Leaf],
    sampling: Sampling,
    ends: Callable[[_Leaf, int], _Leaf | None],
    room: int,
    stepped: Callable[[], None],
) -> list[list[_Leaf]]:
    """Follow leaves of equal length to their ends; those that there is no room for, or whose class
    cannot go on from copies of its rows, are handed back, to be read anew."""
    (_, logits) = list(batch.read_apart())[-1]
    waiting: list[list[_Leaf]] = []
    while True:
        position = len(leaves[0].written)
        keys = row_keys(sampling.seed, [each.prompt for each in leaves], batch.device)
        pieces = _pieces(
            batch.model, line, [each[:, -1] for each in logits], leaves, sampling, keys, position
        )
        parents: list[int] = []
        children: list[_Leaf] = []
        for row, (leaf, parts) in enumerate(zip(leaves, pieces, strict=True)):
            batch.tick()
            for token, low, high in parts:
                child = ends(_Leaf(leaf.prompt, low, high, leaf.written), token)
                if child is not None:
                    parents.append(row)
                    children.append(child)
        stepped()
        if len(children) > room:
            waiting.append(children[room:])
            del children[room:], parents[room:]
        if not children:
            return waiting
        if parents != list(range(len(leaves))):
            repeats = len(set(parents)) < len(parents)
            if not (batch.feeding.branches if repeats else batch.feeding.leaves):
                return [*waiting, children]
            batch.select(parents)
        leaves = children
        chosen = torch.tensor([each.written[-1] for each in leaves], device=batch.device)
        logits = batch.feed_apart(chosen[:, None])


@torch.inference_mode()
def _pieces(
    model: Fused,
    line: Line,
    logits: Sequence[Tensor],
    leaves: Sequence[_Leaf],
    sampling: Sampling,
    keys: Tensor,
    position: int,
) -> Iterator[list[Piece]]:
    """The envelope of each leaf within its interval.

    Args:
        logits: float32 [leaves, vocabulary rows] of each module.
    """
    size = logits[0].shape[-1]
    size = size if model.vocabulary is None else min(size, model.vocabulary)
    count = max(1, VALUES // (size * (len(model.modules) + 2)))
    ends = [[each.low, each.high] for each in leaves]
    bounds = torch.tensor(ends, dtype=torch.float64, device=keys.device)
    for start in range(0, len(leaves), count):
        some = slice(start, start + count)
        said = [each[some, :size] for each in logits]
        b, d = lines(line, said, sampling, keys[some], position)
        low, high = bounds[some].unbind(1)
        yield from envelope(b, d, low, high)


def lines(
    line: Line, logits: Sequence[Tensor], sampling: Sampling, keys: Tensor, position: int
) -> tuple[Tensor, Tensor]:
    """Every token's line.

    Args:
        logits: float32 [rows, size] of each module.
        keys: int64 [rows], of the noise.

    Returns:
        b and d, float64 [rows, size]; b is −inf and d 0 where a token is ruled out.
    """
    b, d = torch.zeros(2, *logits[0].shape, dtype=torch.float64, device=keys.device)
    for each, offset, slope in zip(logits, line.offset, line.slope, strict=True):
        wide = each.double()
        b.add_(wide, alpha=offset)
        d.add_(wide, alpha=slope)
    refuse_infinite(b + d)
    if position & (position - 1) == 0:
        refuse_alike(alike(b + line.value * d))
    if not sampling.greedy:
        noise = gumbel(keys, position, b.shape[-1]).double()
        b = b.div_(sampling.temperature).add_(noise, alpha=line.scale[0])
        d = d.div_(sampling.temperature).add_(noise, alpha=line.scale[1])
    mixture = line.mixture
    if mixture.kind in FILTERING:
        fused = combined(mixture.kind, logits, mixture.weights, dict(mixture.options), None)
        out = fused == -torch.inf
        b, d = b.masked_fill_(out, -torch.inf), d.masked_fill_(out, 0.0)
    return b, d


def _joined(intervals: Sequence[Interval]) -> list[Interval]:
    """Neighbours of one text as one: two end tokens may end it."""
    found: list[Interval] = []
    for each in intervals:
        if found and found[-1].token_ids == each.token_ids:
            found[-1] = Interval(found[-1].low, each.high, each.token_ids)
        else:
            found.append(each)
    return found
