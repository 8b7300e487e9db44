"""Several mixtures of the same models on the same prompts, written together.

    prompt 0   the ─┬─ cat ─── sat ───          rows are distinct prefixes, whatever the number of
                    └─ dog ─┬─ ran ───          mixtures that write them; a row parts where they
                            └─ sat ───          disagree

Neighbouring weights say much of the same, so that the models read far fewer rows than mixtures ×
prompts. What they say is taken down like that of any text (`engine.decoding.prefixes`); each
mixture's own texts are decided from there (`engine.decoding.replay`), exactly, and no model runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.decoding.batch import Batch
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

VALUES = 1 << 24
"""Fused logits that are made at a time."""


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
) -> Fed:
    """Have the models say all that the texts of several mixtures need; arguments as of
    `engine.decoding.loop.generate`.

    Args:
        model: runs the modules; its own mixture is not asked for.
        mixtures: of just its modules, in their order.

    Raises:
        BadInput: as `generate`.
    """
    check_ids(model, prompts, [max_new_tokens] * len(prompts), "new ones", own)
    bucket = within_memory(bucket, model)
    longest, sizes = columns_of(model, prompts, own)
    total = Fed(0, 0)
    for indices in bucket.batches([each + max_new_tokens for each in longest], sizes):
        rows, theirs = [prompts[index] for index in indices], rows_of(own, indices)
        batch = Batch(model, rows, bucket, tick, own=theirs)
        if not (batch.feeding.branches and batch.feeding.leaves):
            continue  # each mixture is written by itself
        writing = Writing(max_new_tokens, end_ids, sampling, stopped, None)
        keys = row_keys(sampling.seed, indices).tolist()
        lines = [Line(*each) for each in zip(indices, keys, strict=True)]
        together = _Together(batch, mixtures, writing)
        together.write(prefixes, anchors_of(model, rows, theirs), lines)
        total = Fed(total.distinct + together.distinct, total.all + together.all)
    return total


class _Together:
    """Rows of a batch on their way, each for the texts of all mixtures that agree so far.

    Attributes:
        distinct: tokens that were fed or only chosen, each once.
        all: the same for every mixture.
    """

    def __init__(self, batch: Batch, mixtures: Sequence[Mixture], writing: Writing) -> None:
        self.batch = batch
        self.mixtures = mixtures
        self.writing = writing
        self.distinct = self.all = 0
        kinds = {(each.kind, each.options) for each in mixtures}
        size = (batch.values * len(batch) * len(mixtures)) <= VALUES
        self._weights = None
        if kinds == {("linear", ())} and size:
            weights = [each.weights for each in mixtures]
            self._weights = torch.tensor(weights, dtype=torch.float32, device=batch.device)

    def write(self, prefixes: Prefixes, anchors: Sequence[Anchor], lines: Sequence[Line]) -> None:
        """Write all texts to their ends.

        Args:
            anchors: where each prompt's texts begin.
            lines: of each prompt, nothing written.
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
                if not rows:
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
        parents, found, ids = [], [], []
        for place, (row, parts) in enumerate(zip(rows, going, strict=True)):
            for token, texts in parts.items():
                slot = row.slot
                if token != firsts[place] and recorder.running:
                    slot = recorder.part(row.slot, token)
                parents.append(place)
                found.append(_Row(slot, texts))
                ids.append(token)
        return parents, found, ids

    @torch.inference_mode()
    def _tokens(self, logits: Sequence[Tensor], rows: Sequence[_Row], step: int) -> list[list[int]]:
        """Of each row the token of each of its texts."""
        last = [each[:, -1] for each in logits]
        pairs = [(at, number, line) for at, row in enumerate(rows) for number, line in row.texts]
        chosen = [0] * len(pairs)
        if self._weights is not None:
            places = torch.tensor([[at, n] for at, n, _ in pairs], device=self.batch.device)
            fused = self._linear(last, places[:, 0], places[:, 1])
            chosen = self._chosen(fused, [line for *_, line in pairs], step)
        else:
            for number, mixture in enumerate(self.mixtures):
                theirs = [n for n, pair in enumerate(pairs) if pair[1] == number]
                if not theirs:
                    continue
                places = torch.tensor([pairs[n][0] for n in theirs], device=self.batch.device)
                parts = [each.index_select(0, places) for each in last]
                fused = combine(mixture, parts, self.batch.model.vocabulary)
                found = self._chosen(fused, [pairs[n][2] for n in theirs], step)
                for n, token in zip(theirs, found, strict=True):
                    chosen[n] = token
        tokens: list[list[int]] = [[] for _ in rows]
        for (at, *_), token in zip(pairs, chosen, strict=True):
            tokens[at].append(token)
        return tokens

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

    def _chosen(self, fused: Tensor, lines: Sequence[Line], step: int) -> list[int]:
        keys = torch.tensor([each.key for each in lines], device=fused.device)
        return choose(fused, self.writing.sampling, keys, step).tolist()
