"""Several mixtures in a batch whose rows are distinct prefixes (`engine.decoding.grid`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.decoding.batch import Batch
from engine.decoding.fusion import Mixture, combine
from engine.decoding.prefixes import Anchor, Prefixes
from engine.decoding.recording import Recorder, begin, order_of
from engine.decoding.sampling import choose
from engine.decoding.soundness import NOT_FINITE, Unsound, alike, refuse_alike
from engine.decoding.writing import Line, Writing

VALUES = 1 << 22
"""Fused logits that are made at a time: milliseconds, so that a tick is never far."""


@dataclass(eq=False)
class _Row:
    """A prefix, and the texts that begin with it.

    Attributes:
        slot: of the recorder.
        texts: (number of the mixture, its text).
    """

    slot: int
    texts: list[tuple[int, Line]]


class Together:
    """Rows of a batch on their way, each for the texts of all mixtures that agree so far.

    Args:
        anchors: where each prompt's texts begin.
        most: rows, beyond which texts are given up, as where they are not taken down any more; None
            where all are to be written, and looked at whether they are sound.
        prompts: of all batches.

    Attributes:
        texts: of each mixture, a line a prompt of this batch.
        distinct: tokens that were fed or only chosen, each once.
        all: the same for every mixture.
    """

    def __init__(
        self,
        batch: Batch,
        anchors: Sequence[Anchor],
        mixtures: Sequence[Mixture],
        writing: Writing,
        most: int | None,
        prompts: int,
    ) -> None:
        self.batch = batch
        self.mixtures = mixtures
        self.writing = writing
        self.texts: list[list[Line]] = []
        self.distinct = self.all = 0
        self._anchors = anchors
        self._most = most
        self._prompts = prompts
        self._weights = None
        if {(each.kind, each.options) for each in mixtures} == {("linear", ())}:
            weights = [each.weights for each in mixtures]
            self._weights = torch.tensor(weights, dtype=torch.float32, device=batch.device)

    def write(self, prefixes: Prefixes, lines: Sequence[Line]) -> Iterator[int]:
        """Write all texts to their ends.

        Args:
            lines: of each prompt, nothing written.

        Yields:
            after every step, how many prompts have a text that goes on.
        """
        logits = begin(self.batch, prefixes)
        order = order_of(self.batch.model)
        recorder = Recorder(prefixes, self.batch, self._anchors, order)
        self.texts = [
            [Line(number * self._prompts + each.index, each.key) for each in lines]
            for number in range(len(self.mixtures))
        ]
        rows = [
            _Row(slot, [(number, each[slot]) for number, each in enumerate(self.texts)])
            for slot in range(len(lines))
        ]
        step = 0
        try:
            while rows:
                tokens = self._tokens(logits, rows, step)
                parents, rows, ids = self._parted(rows, tokens, recorder)
                yield len({line.index % self._prompts for row in rows for _, line in row.texts})
                if not rows or not (recorder.running or self._most is None):
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
        if self._most is not None and len(found) > self._most:
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
        chosen = choose(fused, self.writing.sampling, keys, step)
        if self._most is None:
            if not bool(fused.gather(1, chosen[:, None]).isfinite().all()):
                raise Unsound(NOT_FINITE)
            refuse_alike(alike(fused, self.batch.model.vocabulary))
        return chosen.tolist()

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
