"""Taking down what a batch's rows say, and reading prompts that were read before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.decoding.batch import Batch
from engine.decoding.inputs import Fused, Own, Prompts, readings
from engine.decoding.prefixes import LARGEST, Anchor, Prefixes, Stretch


def begin(batch: Batch, prefixes: Prefixes) -> list[Tensor]:
    """Read a batch's prompts, where a module's memory of just this batch is kept from there.

    Returns:
        float32 [rows, 1, vocabulary rows] of each module, of their last column.
    """
    count = len(batch)
    branches = batch.feeding.branches
    for at, stage in enumerate(batch.stages):
        found = prefixes.prompts(_key(batch, at)) if branches else None
        if found is not None:
            stage.go_on(found.stage.take(torch.arange(count, device=batch.device), count))
            batch.known[at] = found.logits
    batch.keep(on=True)
    *_, (_, logits) = batch.read_apart()
    for at, stage in enumerate(batch.stages):
        if branches and at not in batch.known:
            prefixes.keep(_key(batch, at), stage, count, logits[at])
    batch.known.clear()
    batch.keep(on=False)
    return logits


def order_of(model: Fused) -> list[int]:
    """Places of a model's modules in the order that runs have them, whatever method it is of."""
    return sorted(range(len(model.modules)), key=lambda at: id(model.modules[at]))


def anchors_of(model: Fused, prompts: Prompts, own: Own) -> list[Anchor]:
    """Where the texts of each prompt begin."""
    said, reads = readings(model, prompts, own)
    passes = [(model.modules[at], said[reads[at]]) for at in order_of(model)]
    return [
        (None, tuple((module, tuple(each[row])) for module, each in passes))
        for row in range(len(prompts))
    ]


def resumes(batch: Batch, prefixes: Prefixes, more: Sequence[int]) -> bool:
    """Whether `begin` runs no module, and rows can be given texts of these lengths at once."""
    able = batch.feeding
    plain = able.rows == "mixed" and able.chunks and able.leaves and able.horizon is None
    even = min(more) == max(more) or all(each.ready_mask for each in batch.stages)
    places = range(len(batch.stages))
    return plain and even and all(prefixes.prompts(_key(batch, at)) for at in places)


def _key(batch: Batch, at: int) -> object:
    """What a module's memory of the prompts depends on."""
    reading = batch.readings[batch.reads[at]]
    ids, pads = (each.cpu().numpy().tobytes() for each in (reading.prompts, reading.pads))
    return batch.stages[at].module, ids, pads, batch.width, batch.whole


@dataclass(frozen=True)
class _Parted:
    """Where a text begins that parts from a slot's."""

    slot: int
    key: tuple[int, int]


class Recorder:
    """Takes down what a batch's rows say, for as long as that is not too much.

    Args:
        anchors: where the text of each row goes on from.
        order: of the passes, as runs keep them.
    """

    def __init__(
        self, prefixes: Prefixes, batch: Batch, anchors: Sequence[Anchor], order: Sequence[int]
    ) -> None:
        self._prefixes = prefixes
        self._batch = batch
        self._anchors: list[Anchor | _Parted] = list(anchors)
        self._order = order
        self._tokens: list[list[int]] = [[] for _ in anchors]
        self._places: list[list[int]] = [[] for _ in anchors]
        self._steps: list[tuple[Tensor, ...]] = []
        self._rows = 0
        self._bytes = 0
        self._running = True
        batch.keep(on=True)

    def step(self, chosen: Sequence[tuple[int, int] | None]) -> None:
        """After the batch's last feed, each of its rows was of this slot and was given this token;
        None for one that has ended."""
        kept = self._batch.kept
        self._bytes += sum(each.numel() * each.element_size() for each in kept)
        if self._bytes * LARGEST > self._prefixes.limit:
            self._steps.clear()
            self._running = False
            self._batch.keep(on=False)
            return
        for row, each in enumerate(chosen):
            if each is not None:
                self._tokens[each[0]].append(each[1])
                self._places[each[0]].append(self._rows + row)
        self._steps.append(kept)
        self._rows += len(chosen)

    def part(self, slot: int, token: int) -> int:
        """Let a row part from this slot's text, with this token in place of its last; its slot."""
        self._anchors.append(_Parted(slot, (len(self._tokens[slot]) - 1, token)))
        self._tokens.append([])
        self._places.append([])
        return len(self._anchors) - 1

    @property
    def running(self) -> bool:
        """Whether it takes down what comes."""
        return self._running

    @torch.inference_mode()
    def store(self) -> None:
        """Keep what was taken down."""
        if not self._steps:
            return
        whole = [torch.cat([each[place] for each in self._steps]) for place in self._order]
        trails: list[list[Stretch]] = []
        for anchor, tokens, places in zip(self._anchors, self._tokens, self._places, strict=True):
            if isinstance(anchor, _Parted):
                found = behind(trails[anchor.slot], *anchor.key)
                if found is None:
                    trails.append([])
                    continue
                anchor = found
            trail, anchor, there = self._prefixes.along(anchor, tokens)
            trails.append(trail)
            if trail:
                self._prefixes.touch(trail[-1].run)
            if there == len(tokens):
                continue
            rows = torch.tensor(places[there:], device=whole[0].device)
            kept = tuple(each.index_select(0, rows) for each in whole)
            run = self._prefixes.add(anchor, tokens[there:], kept)
            if run is not None:
                trail.append(Stretch(range(there, len(tokens)), run, 0))


def behind(trail: Sequence[Stretch], number: int, token: int) -> Anchor | None:
    """Where a text goes on that has this token in place of another text's; None if that is gone."""
    for each in trail:
        if number in each.tokens:
            return each.run, (each.place + number - each.tokens.start, token)
    return None
