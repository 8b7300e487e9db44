"""What a family's models said at every place of every text that was written, and their prompts.

    prompt ── run ───────────────────────────── run: tokens chosen, and what is kept of each
                └─ token 3: another ── run        model at the place where each was chosen
                                └─ token 7: …

At a fixed place of a fixed text no model's output depends on the coefficients, so a recipe over
the same models is decided there without running any of them (`engine.decoding.replay`). Beside the
runs, each module's memory of prompts that were read as a batch, and of the last text of a prompt
that was read alone. All of it lies on the models' device and goes with them, or beyond the limit
the least recently used first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.decoding.growing_cache import only_grows
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
        logits: of each pass float32 [tokens, vocabulary], where they are small enough to be kept
            beside it once they were asked for.
        after: other texts that part from it, and what follows its last token.
        anchor: where it begins.
    """

    tokens: list[int]
    kept: tuple[Tensor, ...]
    anchor: Anchor
    logits: tuple[Tensor, ...] = ()
    after: Branches = field(default_factory=dict)


@dataclass(frozen=True)
class Stretch:
    """Of a text the tokens that a run has, and the place of the first of them in that."""

    tokens: range
    run: Run
    place: int


@dataclass(frozen=True)
class Read:
    """A module's memory of a batch of prompts.

    Attributes:
        stage: not to be fed; `Stage.take` gives one that may be.
        logits: [rows, 1, vocabulary] of the last column.
    """

    stage: Stage
    logits: Tensor


@dataclass(frozen=True)
class Tail:
    """Where the last text of a prompt ended.

    Attributes:
        batch: of this one row; not to be fed, `Batch.branch` gives one that may be.
        tokens: fed to it behind the prompt.
    """

    batch: Batch
    tokens: tuple[int, ...]

    def until(self, text: Sequence[int]) -> tuple[Batch, int]:
        """A batch that has read as much of a text as both begin with, and how much that is."""
        pairs = zip(self.tokens, text, strict=False)
        same = next((n for n, (a, b) in enumerate(pairs) if a != b), None)
        same = min(len(self.tokens), len(text)) if same is None else same
        batch = self.batch.branch([0])
        batch.crop(len(self.tokens) - same)
        return batch, same


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
        self._tails: dict[object, Tail] = {}

    # ---- texts -------------------------------------------------------------------------------

    def at(self, anchor: Anchor) -> Run | None:
        """The run that begins there."""
        before, key = anchor
        return self._roots.get(key) if before is None else before.after.get(key)

    def along(self, anchor: Anchor, tokens: Sequence[int]) -> tuple[list[Stretch], Anchor, int]:
        """What is kept of a text that begins at an anchor.

        Returns:
            its stretches; where it goes on behind them; and how many tokens they hold.
        """
        found: list[Stretch] = []
        done = 0
        while done < len(tokens):
            run, place = self._entered(anchor)
            if run is None:
                break
            first, start, inside = done, place, True
            while inside and done < len(tokens):
                anchor = run, (place, tokens[done])
                inside = tokens[done] == run.tokens[place] and place + 1 < len(run.tokens)
                done, place = done + 1, place + 1
            found.append(Stretch(range(first, done), run, start))
        return found, anchor, done

    def _entered(self, anchor: Anchor) -> tuple[Run | None, int]:
        """The run that a text is in behind an anchor, if one is kept, and the place in it."""
        before, key = anchor
        if before is not None:
            place, token = key
            if token == before.tokens[place] and place + 1 < len(before.tokens):
                return before, place + 1
        return self.at(anchor), 0

    def add(self, anchor: Anchor, tokens: Sequence[int], kept: tuple[Tensor, ...]) -> Run | None:
        """Keep a run, unless there is one at this place or the one before it is gone: None then."""
        before, key = anchor
        held = before is None or before in self._used
        size = sum(map(_bytes, kept))
        if not held or not tokens or size * LARGEST > self.limit or self.at(anchor) is not None:
            return None
        run = Run(list(tokens), kept, anchor)
        (self._roots if before is None else before.after)[key] = run
        self._put(run, size)
        self.touch(run)
        return run

    def touch(self, run: Run) -> None:
        """A text that ends in this run was used. What leads to it goes no earlier than it."""
        each: Run | None = run
        while each is not None:
            if each in self._used:
                self._used.move_to_end(each)
            each = each.anchor[0]

    def say(self, run: Run, logits: tuple[Tensor, ...]) -> None:
        """Keep a run's logits beside it."""
        if run in self._used:
            size = sum(map(_bytes, logits))
            run.logits = logits
            self._used[run] += size
            self.bytes += size
            self._shrink()

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

    def tail(self, key: object) -> Tail | None:
        """Where the last text ended that is of this key."""
        found = self._tails.get(key)
        if found is not None:
            self._used.move_to_end(key)
        return found

    def keep_tail(self, key: object, tail: Tail) -> None:
        """Keep it, in place of the one before."""
        if key in self._tails:
            self._forget(key)
        states = [each.state for each in tail.batch.stages]
        size = sum(_bytes(each) for state in states for each in tensors_of(state))
        if size * LARGEST <= self.limit and all(map(only_grows, states)):
            self._tails[key] = tail
            self._put(key, size)

    # ---- inside ------------------------------------------------------------------------------

    def _put(self, what: object, size: int) -> None:
        self._used[what] = size
        self.bytes += size
        self._shrink()

    def _shrink(self) -> None:
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
            self._read.pop(what, None)
            self._tails.pop(what, None)


def _bytes(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()
