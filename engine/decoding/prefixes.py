"""What a family's models said at every place of every text that was written, and their prompts.

    prompt ── run ───────────────────────────── run: tokens chosen, and what is kept of each
                └─ token 3: another ── run        model at the place where each was chosen
                                └─ token 7: …

At a fixed place of a fixed text no model's output depends on the coefficients, so a recipe over
the same models is decided there without running any of them (`engine.decoding.replay`). Beside the
runs, each module's memory of prompts that were read as a batch. All of it lies on the models'
device and goes with them, or beyond the limit the least recently used first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.decoding.stage import Stage
from engine.decoding.state import tensors_of
from engine.family.memory import PREFIX_BYTES

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from engine.decoding.batch import Batch

LARGEST = 2
"""One run's batch, or one module's prompts, may take this fraction of it at most: 1 / LARGEST."""

Ids = tuple[int, ...]
Pass = tuple["PreTrainedModel", Ids]
"""A module, and the prompt that it reads."""

Branches = dict[tuple[int, int], "Run"]
"""(place in a run, token chosen there) -> what came after it."""


Anchor = tuple["Run | None", Any]
"""Where a run begins: the run before it and its key there, or None and the passes of a prompt."""


@dataclass(eq=False)
class Run:
    """A stretch of a text.

    Attributes:
        tokens: chosen one after the other; the last may be an end token.
        kept: of each pass [tokens, width]: its place n is where token n was chosen.
        after: other texts that part from it, and what follows its last token.
        anchor: where it begins.
    """

    tokens: list[int]
    kept: tuple[Tensor, ...]
    anchor: Anchor
    after: Branches = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """A module's memory of a batch of prompts.

    Attributes:
        stage: not to be fed; `Stage.take` gives one that may be.
        logits: [rows, 1, vocabulary] of the last column.
    """

    stage: Stage
    logits: Tensor


class Prefixes:
    """What is kept of the models of one family.

    Args:
        limit: bytes.

    Attributes:
        bytes: kept now.
    """

    def __init__(self, limit: int = PREFIX_BYTES) -> None:
        self.limit = limit
        self.bytes = 0
        self._roots: dict[tuple[Pass, ...], Run] = {}
        self._used: OrderedDict[object, int] = OrderedDict()  # run or key of prompts -> bytes
        self._read: dict[object, Read] = {}

    # ---- texts -------------------------------------------------------------------------------

    def at(self, anchor: Anchor) -> Run | None:
        """The run that begins there."""
        before, key = anchor
        return self._roots.get(key) if before is None else before.after.get(key)

    def add(self, anchor: Anchor, tokens: Sequence[int], kept: tuple[Tensor, ...]) -> None:
        """Keep a run, unless there is one at this place or the one before it is gone."""
        before, key = anchor
        held = before is None or before in self._used
        size = sum(map(_bytes, kept))
        if not held or not tokens or size * LARGEST > self.limit or self.at(anchor) is not None:
            return
        run = Run(list(tokens), kept, anchor)
        (self._roots if before is None else before.after)[key] = run
        self._put(run, size)
        self.touch(run)

    def touch(self, run: Run) -> None:
        """A text that ends in this run was used. What leads to it goes no earlier than it."""
        each: Run | None = run
        while each is not None:
            if each in self._used:
                self._used.move_to_end(each)
            each = each.anchor[0]

    # ---- prompts -----------------------------------------------------------------------------

    def prompts(self, key: object) -> Read | None:
        """A module's memory of a batch of prompts, if it is kept."""
        found = self._read.get(key)
        if found is not None:
            self._used.move_to_end(key)
        return found

    def keep(self, key: object, stage: Stage, rows: int, logits: Tensor) -> None:
        """Keep a copy of what a module remembers of prompts that were just read."""
        tensors = [*tensors_of(stage.state), *stage.fed, logits]
        if sum(map(_bytes, tensors)) * LARGEST > self.limit or key in self._read:
            return
        copy = stage.take(torch.arange(rows, device=logits.device), rows)
        size = sum(_bytes(each) for each in [*tensors_of(copy.state), *copy.fed, logits])
        self._read[key] = Read(copy, logits.clone())
        self._put(key, size)

    # ---- inside ------------------------------------------------------------------------------

    def _put(self, what: object, size: int) -> None:
        self._used[what] = size
        self.bytes += size
        while self.bytes > self.limit:
            self._forget(next(iter(self._used)))

    def _forget(self, what: object) -> None:
        self.bytes -= self._used.pop(what)
        if isinstance(what, Run):
            before, key = what.anchor
            (self._roots if before is None else before.after).pop(key)
            for each in list(what.after.values()):
                self._forget(each)
        else:
            del self._read[what]


def begin(batch: Batch, prefixes: Prefixes) -> Tensor:
    """Read a batch's prompts, where a module's memory of just this batch is kept from there.

    Returns:
        float32 [rows, 1, vocabulary rows] of their last column, as `Batch.read` gives it.
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
    return batch.combined(logits)


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
        self._anchors = anchors
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
        for anchor, tokens, places in zip(self._anchors, self._tokens, self._places, strict=True):
            rows = torch.tensor(places, device=whole[0].device)
            kept = tuple(each.index_select(0, rows) for each in whole)
            self._prefixes.add(anchor, tokens, kept)


def _bytes(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()
