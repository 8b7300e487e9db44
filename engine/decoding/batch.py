"""A batch of token ids on its way through every module of a composed model.

    module 0     · · · p p p p p p | n n n          · padding, p the prompt, n what came after
    module 1           · · q q q q | n n n          q a prompt of its own, of its own length

Each module keeps its own memory of it (`engine.decoding.stage`); their logits are combined in
float32 as soon as they are there. Modules read the same prompts (`engine.decoding.reading`), or
some read others; what comes after is the same for all. Rows are padded on the left where every
class allows it; where one does not, a batch holds rows of one length. What a batch looks like
(which prompts, their order, its width, its prefill chunks) depends on the prompts and the bucket
alone, never on load, so that a text does not either. This file knows nothing about sampling, end
tokens or scores.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor

from engine.decoding.fusion import combine
from engine.decoding.inputs import NONE_OWN, Bucket, Fused, Own, Tick, embedded, readings
from engine.decoding.reading import Reading
from engine.decoding.stage import Stage

PREFILL_TOKENS = 2048
"""Tokens of one prefill chunk over all rows: tens of milliseconds, so that a tick is never far."""

SCORED_VALUES = 1 << 27
"""Logits held at once while scoring: 0.5 GB in float32."""


class Routed(Fused, Protocol):
    """A model whose rows are of different mixtures."""

    def route(self, owners: Tensor, /) -> None: ...


class Batch:
    """Rows of token ids with their caches; `feed` appends columns and returns the combined logits.

    Args:
        widen: use float32 from the output projection on for a single model too; fused ones always
            do.
        owners: which of the model's mixtures each row is of, for one that has several.
        own: what modules read instead of the prompts.

    Attributes:
        feeding: what all modules allow.
        width: columns of the padded prompts, the widest of any module.
        known: place of a module that is not run -> what it gives instead, [rows, keep, …].
        strengths: float64 [rows, keep, n], of `Mixture.chosen`, those of the last `feed`; None
            where none are chosen.
    """

    def __init__(
        self,
        model: Fused,
        prompts: Sequence[Sequence[int]],
        bucket: Bucket,
        tick: Tick,
        widen: bool = False,
        owners: Sequence[int] | None = None,
        own: Own = NONE_OWN,
    ) -> None:
        self.model = model
        self.tick = tick
        self.device = model.modules[0].device
        widen = widen or model.mixture is not None
        self.stages = tuple(Stage(module, widen) for module in model.modules)
        self.feeding = functools.reduce(operator.and_, (each.feeding for each in self.stages))
        said, self.reads = readings(model, prompts, own)
        self.readings = tuple(self._reading(each, bucket) for each in said)
        self.width = max(each.width for each in self.readings)
        self.strengths: Tensor | None = None
        self.owners = None if owners is None else torch.tensor(owners, device=self.device)
        self.known: dict[int, Tensor] = {}

    def _reading(self, prompts: Sequence[Sequence[int]], bucket: Bucket) -> Reading:
        longest = max(len(ids) for ids in prompts)
        mixed = self.feeding.rows == "mixed"
        if not mixed and min(len(ids) for ids in prompts) < longest:
            raise ValueError("rows have different lengths, and this class cannot be padded")
        tight = not mixed or (len(prompts) == 1 and self.feeding.horizon is not None)
        return Reading(prompts, longest if tight else bucket.width(longest), self.device)

    def __len__(self) -> int:
        return int(self.readings[0].pads.shape[0])

    @property
    def prompts(self) -> Tensor:
        """int64 [rows, columns]: what the first module reads, padded."""
        return self.readings[self.reads[0]].prompts

    def feed(self, ids: Tensor, keep: int = 1) -> Tensor:
        """Append columns to every row.

        Args:
            ids: int64 [rows, columns].
            keep: logits are returned for the last `keep` of these columns.

        Returns:
            float32 [rows, keep, vocabulary rows], combined and masked.
        """
        return self.combined(self.feed_apart(ids, keep))

    def feed_apart(self, ids: Tensor, keep: int = 1) -> list[Tensor]:
        """The same, with each model's logits by themselves: [rows, keep, vocabulary rows] each."""
        started = any(each.column for each in self.readings)
        if ids.shape[1] > 1 and started and not self.feeding.chunks:
            steps = [self.feed_apart(each) for each in ids.split(1, dim=1)]
            return [torch.cat(each[-keep:], 1) for each in zip(*steps, strict=True)]
        return self._run([ids] * len(self.readings), keep)

    def _run(self, columns: Sequence[Tensor], keep: int) -> list[Tensor]:
        """Feed each reading's columns to the modules that read it, if there are any; their logits.

        Args:
            columns: int64 [rows, columns] a reading.

        Returns:
            float32 [rows, keep, vocabulary rows] of each module that was fed.
        """
        for reading, ids in zip(self.readings, columns, strict=True):
            reading.advance(ids.shape[1])
        logits = []
        for at, (stage, place) in enumerate(zip(self.stages, self.reads, strict=True)):
            ids, reading = columns[place], self.readings[place]
            if at in self.known:
                logits.append(self.known[at].clone())
                continue
            if not ids.shape[1]:
                continue
            self.tick()  # outside of inference mode: it may run work of its own that writes weights
            if self.owners is not None:
                cast("Routed", self.model).route(self.owners)
            with torch.inference_mode():
                found = stage.run(ids, reading.real, reading.positions, keep)
                logits.append(found[..., : self.model.rows].float())
        return logits

    @torch.inference_mode()
    def combined(self, logits: list[Tensor]) -> Tensor:
        """The mixture's logits, of each model's; those may be overwritten."""
        if self.model.mixture is None:
            return logits[0]
        said: list[Tensor] = []
        fused = combine(self.model.mixture, logits, self.model.vocabulary, said)
        self.strengths = said[0] if said else None
        return fused

    def run_of(self, row: int) -> tuple[int, ...]:
        """Of each module, the columns that were run from the prompt's last one on, those whose
        logits choose tokens; nothing where every module runs at every column."""
        return ()

    def beyond_horizon(self, columns: int) -> bool:
        """Whether texts of this many columns are beyond the horizon of a module."""
        return self.feeding.horizon is not None and columns > self.feeding.horizon

    @property
    def values(self) -> int:
        """Logits per position."""
        return self.model.rows or embedded(self.model.modules[0])

    @property
    def whole(self) -> bool:
        """Whether the prompts have to be read in one call."""
        again = any(stage.feeding.memory == "none" for stage in self.stages)
        return again or not self.feeding.chunks or self.beyond_horizon(self.width)

    def read(
        self,
        span: int = 1,
        values: int | None = None,
        whole: bool = False,
        width: int | None = None,
    ) -> Iterator[tuple[int, Tensor]]:
        """Feed the prompts in chunks, yielding the logits of their last `span` columns.

        Prompts of several widths end together: a module with shorter ones begins later.

        Args:
            whole: in one call, even if chunks are allowed.
            values: logits per position that scored chunks are sized for; by default this batch's
                own.
            width: chunks are those of a batch of so many columns; by default of this one.

        Yields:
            (first column, of that width; logits float32 [rows, columns, vocabulary rows]) in order,
            covering `span` columns.
        """
        for column, logits in self.read_apart(span, values, whole, width):
            yield column, self.combined(logits)

    def read_apart(
        self,
        span: int = 1,
        values: int | None = None,
        whole: bool = False,
        width: int | None = None,
    ) -> Iterator[tuple[int, list[Tensor]]]:
        """The same, with each model's logits by themselves."""
        width = width or self.width
        first = width - span
        chunk = max(1, PREFILL_TOKENS // len(self))
        scored = max(1, min(chunk, SCORED_VALUES // ((values or self.values) * len(self))))
        if whole or self.whole:
            chunk = scored = width
        start = 0
        while start < width:
            stop = min(start + chunk, max(start, first) + scored, width)
            keep = min(stop - start, max(1, stop - first))
            ahead = [width - each.width for each in self.readings]
            parts = [
                each.prompts[:, max(0, start - before) : max(0, stop - before)]
                for each, before in zip(self.readings, ahead, strict=True)
            ]
            logits = self._run(parts, keep)
            if stop > first:
                yield stop - keep, logits
            start = stop

    def keep(self, on: bool) -> None:
        """Whether `kept` is wanted."""
        for stage in self.stages:
            stage.keeping = on

    @property
    def kept(self) -> tuple[Tensor, ...]:
        """[rows, width] of each module: what gives its logits of the last column again."""
        return tuple(cast("Tensor", each.kept) for each in self.stages)

    def extend(self, texts: Sequence[Sequence[int]]) -> None:
        """Append to each row a text of its own, some of them empty; their logits are not wanted."""
        longest = max(map(len, texts))
        if not longest:
            return
        spare = [longest - len(each) for each in texts]
        ids = [[*each, *[0] * more] for each, more in zip(texts, spare, strict=True)]
        self._run([torch.tensor(ids, device=self.device)] * len(self.readings), 1)
        for each in self.readings:
            each.leave_out(spare)

    def crop(self, columns: int) -> None:
        """Drop the last columns, of caches that only grow."""
        for stage in self.stages:
            for layer in stage.state.layers:
                layer.crop(-columns)
        for each in self.readings:
            each.column -= columns

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows only, in this order."""
        chosen, count = torch.tensor(rows, device=self.device), len(self)
        for stage in self.stages:
            stage.select(chosen, count)
        self._keep(chosen)

    def branch(self, rows: Sequence[int]) -> Batch:
        """A batch that continues from these rows (repeats allowed), leaving this one unchanged."""
        other = copy.copy(self)
        chosen, count = torch.tensor(rows, device=self.device), len(self)
        other.stages = tuple(each.take(chosen, count) for each in self.stages)
        other._keep(chosen)
        return other

    def _keep(self, chosen: Tensor) -> None:
        self.readings = tuple(each.taken(chosen) for each in self.readings)
        if self.owners is not None:
            self.owners = self.owners.index_select(0, chosen)
