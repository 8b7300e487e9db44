"""Several mixtures of the same models on the same prompts, written together.

    prompt 0   the ─┬─ cat ─── sat ───          rows are distinct prefixes, whatever the number of
                    └─ dog ─┬─ ran ───          mixtures that write them; a row parts where they
                            └─ sat ───          disagree

Neighbouring weights say much of the same, so that the models read far fewer rows than mixtures ×
prompts. What they say is taken down like that of any text (`engine.decoding.prefixes`); each
mixture's own texts are decided from there (`engine.decoding.replay`), exactly, and no model runs.
Where rows become more than a batch may have, those of the fewest texts are given up: such a text
goes on when its own turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.decoding.batch import PREFILL_TOKENS, SCORED_VALUES, Batch
from engine.decoding.fusion import Mixture, combine
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
from engine.decoding.prefixes import Anchor, Prefixes
from engine.decoding.recording import Recorder, anchors_of, begin, order_of
from engine.decoding.sampling import GREEDY, Sampling, choose, row_keys
from engine.decoding.writing import Line, Writing

ROWS = PREFILL_TOKENS // 2
"""Rows of a batch at most, so that a step takes no longer than a chunk of prompts."""

VALUES = 1 << 22
"""Fused logits that are made at a time: milliseconds, so that a tick is never far."""


@dataclass(frozen=True)
class Fed:
    """Tokens that were written: those that are distinct by what stands before them, and all."""

    distinct: int
    all: int


@dataclass(eq=False)
class _Row:
    """A prefix, and the texts that begin with it.

    Attributes:
        slot: of the recorder.
        texts: (number of the mixture, its text).
    """

    slot: int
    texts: list[tuple[int, Line]]


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
    check_ids(model, prompts, [max_new_tokens] * len(prompts), "new ones", own)
    bucket = within_memory(bucket, model)
    longest, sizes = columns_of(model, prompts, own)
    total, done = Fed(0, 0), 0
    for indices in bucket.batches([each + max_new_tokens for each in longest], sizes):
        rows, theirs = [prompts[index] for index in indices], rows_of(own, indices)
        batch = Batch(model, rows, bucket, tick, own=theirs)
        done += len(rows)
        if not (batch.feeding.branches and batch.feeding.leaves):
            continue  # each mixture is written by itself
        writing = Writing(max_new_tokens, end_ids, sampling, stopped, None)
        keys = row_keys(sampling.seed, indices).tolist()
        lines = [Line(*each) for each in zip(indices, keys, strict=True)]
        width = bucket.width(max(longest[index] for index in indices) + max_new_tokens)
        together = _Together(batch, mixtures, writing, _most(batch, bucket, width))
        for going in together.write(prefixes, anchors_of(model, rows, theirs), lines):
            told(done - going)
        total = Fed(total.distinct + together.distinct, total.all + together.all)
    return total


def _most(batch: Batch, bucket: Bucket, width: int) -> int:
    """Rows that a batch may have, of so many columns in the end."""
    fitting = ROWS if bucket.tokens is None else bucket.tokens // width
    values = SCORED_VALUES // (batch.values * len(batch.stages))
    return max(len(batch), min(ROWS, fitting, values))


class _Together:
    """Rows of a batch on their way, each for the texts of all mixtures that agree so far.

    Args:
        most: rows.

    Attributes:
        distinct: tokens that were fed or only chosen, each once.
        all: the same for every mixture.
    """

    def __init__(
        self, batch: Batch, mixtures: Sequence[Mixture], writing: Writing, most: int
    ) -> None:
        self.batch = batch
        self.mixtures = mixtures
        self.writing = writing
        self.distinct = self.all = 0
        self._most = most
        self._weights = None
        if {(each.kind, each.options) for each in mixtures} == {("linear", ())}:
            weights = [each.weights for each in mixtures]
            self._weights = torch.tensor(weights, dtype=torch.float32, device=batch.device)

    def write(
        self, prefixes: Prefixes, anchors: Sequence[Anchor], lines: Sequence[Line]
    ) -> Iterator[int]:
        """Write all texts to their ends, or for as long as they are taken down.

        Args:
            anchors: where each prompt's texts begin.
            lines: of each prompt, nothing written.

        Yields:
            after every step, how many prompts have a text that goes on.
        """
        logits = begin(self.batch, prefixes)
        order = order_of(self.batch.model)
        recorder = Recorder(prefixes, self.batch, anchors, order)
        numbers = range(len(self.mixtures))
        rows = [
            _Row(slot, [(n, Line(each.index, each.key)) for n in numbers])
            for slot, each in enumerate(lines)
        ]
        step = 0
        try:
            while rows:
                tokens = self._tokens(logits, rows, step)
                parents, rows, ids = self._parted(rows, tokens, recorder)
                yield len({line.index for row in rows for _, line in row.texts})
                if not rows or not recorder.running:
                    break
                if parents != list(range(len(self.batch))):
                    self.batch.select(parents)
                logits = self.batch.feed_apart(torch.tensor(ids, device=self.batch.device)[:, None])
                step += 1
        finally:
            recorder.store()

    def _parted(
        self, rows: Sequence[_Row], tokens: Sequence[list[int]], recorder: Recorder
    ) -> tuple[list[int], list[_Row], list[int]]:
        """The rows that go on: which each comes from, itself, and its next token."""
        going: list[dict[int, list[tuple[int, Line]]]] = []
        for row, said in zip(rows, tokens, strict=True):
            parts: dict[int, list[tuple[int, Line]]] = {}
            for (number, line), token in zip(row.texts, said, strict=True):
                if self.writing.take(line, token):
                    parts.setdefault(token, []).append((number, line))
            going.append(parts)
            self.distinct += len(set(said))
            self.all += len(said)
        firsts = [next(iter(parts), said[0]) for parts, said in zip(going, tokens, strict=True)]
        if recorder.running:
            recorder.step([(row.slot, first) for row, first in zip(rows, firsts, strict=True)])
        found = [
            (place, token, texts)
            for place, parts in enumerate(going)
            for token, texts in parts.items()
        ]
        if len(found) > self._most:
            found.sort(key=lambda each: -len(each[2]))
            found = sorted(found[: self._most], key=lambda each: each[0])
        going_on = []
        for place, token, texts in found:
            slot = rows[place].slot
            if token != firsts[place] and recorder.running:
                slot = recorder.part(slot, token)
            going_on.append(_Row(slot, texts))
        return [place for place, *_ in found], going_on, [token for _, token, _ in found]

    def _tokens(self, logits: Sequence[Tensor], rows: Sequence[_Row], step: int) -> list[list[int]]:
        """Of each row the token of each of its texts."""
        last = [each[:, -1] for each in logits]
        texts = [(at, number, line) for at, row in enumerate(rows) for number, line in row.texts]
        tokens: list[list[int]] = [[0] * len(row.texts) for row in rows]
        places = [(at, n) for at, row in enumerate(rows) for n in range(len(row.texts))]
        for several in self._parts([number for _, number, _ in texts]):
            self.batch.tick()
            chosen = self._chosen(last, [texts[n] for n in several], step)
            for n, token in zip(several, chosen, strict=True):
                at, place = places[n]
                tokens[at][place] = token
        return tokens

    def _parts(self, numbers: Sequence[int]) -> Iterator[Sequence[int]]:
        """Places of texts, those together that are fused at a time: of one mixture, unless all are
        linear."""
        each: dict[int, list[int]] = {}
        for place, number in enumerate(numbers):
            each.setdefault(number if self._weights is None else 0, []).append(place)
        most = max(1, VALUES // self.batch.values)
        for places in each.values():
            yield from (places[n : n + most] for n in range(0, len(places), most))

    @torch.inference_mode()
    def _chosen(
        self, logits: Sequence[Tensor], texts: Sequence[tuple[int, int, Line]], step: int
    ) -> list[int]:
        """The tokens of texts: (row, number of the mixture, text)."""
        device = self.batch.device
        rows, numbers = torch.tensor([each[:2] for each in texts], device=device).unbind(1)
        if self._weights is not None:
            fused = self._linear(logits, rows, numbers)
        else:
            parts = [each.index_select(0, rows) for each in logits]
            fused = combine(self.mixtures[texts[0][1]], parts, self.batch.model.vocabulary)
        keys = torch.tensor([line.key for *_, line in texts], device=device)
        return choose(fused, self.writing.sampling, keys, step).tolist()

    def _linear(self, logits: Sequence[Tensor], rows: Tensor, numbers: Tensor) -> Tensor:
        """float32 [pairs, vocabulary rows]: all linear mixtures at once."""
        assert self._weights is not None
        weights = self._weights[numbers]
        fused = logits[0].index_select(0, rows).mul_(weights[:, :1])
        for n, each in enumerate(logits[1:], 1):
            fused.addcmul_(each.index_select(0, rows), weights[:, n : n + 1])
        vocabulary = self.batch.model.vocabulary
        if vocabulary is not None:
            fused[:, vocabulary:] = -torch.inf
        return fused
