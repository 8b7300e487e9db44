"""A costly model's rows, which read on when they are asked, and not before.

    step            1   2   3   4
    row 0 asked     ?   ?       ?         read together at 1 and at 2
    row 1 asked     ?   ?   ?   ?         alone at 3, and at 4 by itself: row 0 has more to read
    row 2 asked                 ?         at 4 for the first time: its prompt, and what came after

Rows that have read equally much are one batch, a cohort: those of it that are asked leave it, read
what they have not yet, and are one cohort with all others that were asked then. Columns never hold
anything but a row's own text, behind padding on the left. Models whose caches do more than grow
read each row by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from engine.decoding.batch import PREFILL_TOKENS
from engine.decoding.feeding import PLAIN
from engine.decoding.growing_cache import joined, only_grows
from engine.decoding.inputs import Bucket, Prompts, Tick
from engine.decoding.reading import Reading
from engine.decoding.stage import Stage

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Costly(Protocol):
    """A costly model with all rows of a batch."""

    def read(self, rows: Sequence[int], after: Tensor, tick: Tick, values: int) -> Tensor:
        """Let rows catch up.

        Args:
            rows: asked now, at least one.
            after: int64 [all rows, columns], what came after the prompts.
            tick: called before each forward.
            values: logits of a position.

        Returns:
            float32 [rows asked, 1, values]: those of the last column.
        """

    def run(self, row: int) -> int:
        """Columns that a row has read from its prompt's last one on."""

    def taken(self, rows: Sequence[int]) -> Costly:
        """One that continues from these rows (repeats allowed); this one stays as it is."""


def costly_of(
    module: PreTrainedModel, prompts: Prompts, bucket: Bucket, device: torch.device
) -> Costly:
    """All rows of a model that has read nothing yet."""
    stage = Stage(module, widen=True)
    if stage.feeding == PLAIN and only_grows(stage.state):
        return Cohorts(module, prompts, bucket.width(max(map(len, prompts))), device)
    return Readers([Reader(module, torch.tensor([each], device=device)) for each in prompts])


@dataclass
class Cohort:
    """Rows that have read equally much.

    Attributes:
        rows: of the batch.
        reading: of their prompts; its column also counts what was read after them.
    """

    rows: list[int]
    stage: Stage
    reading: Reading

    def taken(self, places: Sequence[int], rows: Sequence[int]) -> Cohort:
        """Of these of its rows, which are called so; this one stays as it is."""
        chosen = torch.tensor(places, device=self.reading.pads.device)
        stage = self.stage.take(chosen, len(self.rows))
        return Cohort(list(rows), stage, self.reading.taken(chosen))

    def parted(self, asked: Collection[int]) -> tuple[Cohort, Cohort | None]:
        """Those that are asked, and the others."""
        inside = [n for n, row in enumerate(self.rows) if row in asked]
        if len(inside) == len(self.rows):
            return self, None
        outside = [n for n, row in enumerate(self.rows) if row not in asked]
        own, left = (self.taken(each, [self.rows[n] for n in each]) for each in (inside, outside))
        return own, left

    def catch_up(self, after: Tensor, tick: Tick, values: int) -> Tensor:
        """Read int64 [rows, columns] that came after the prompts; as `Costly.read`."""
        reading = self.reading
        text = torch.cat([reading.prompts, after], 1)
        size = max(1, PREFILL_TOKENS // len(self.rows))
        logits = text
        while reading.column < text.shape[1]:
            tick()  # outside of inference mode: it may run work of its own that writes weights
            start = reading.column
            reading.advance(min(size, text.shape[1] - start))
            with torch.inference_mode():
                ids = text[:, start : reading.column]
                found = self.stage.run(ids, reading.real, reading.positions, 1)
                logits = found[..., :values].float()
        return logits


class Cohorts:
    """As `Costly`, of a model whose cache only grows: rows that have read equally much together.

    Args:
        width: columns that all prompts are padded to.
    """

    def __init__(
        self, module: PreTrainedModel, prompts: Prompts, width: int, device: torch.device
    ) -> None:
        self._module = module
        self._prompts = prompts
        self._width = width
        self._device = device
        self._cohorts: list[Cohort] = []

    def read(self, rows: Sequence[int], after: Tensor, tick: Tick, values: int) -> Tensor:
        asked = set(rows)
        parts: list[Cohort] = []
        others: list[Cohort] = []
        for each in self._cohorts:
            if asked.isdisjoint(each.rows):
                others.append(each)
                continue
            own, left = each.parted(asked)
            parts.append(own)
            others += [left] if left is not None else []
        begun = {row for each in parts for row in each.rows}
        if begun != asked:
            parts.append(self._begun(sorted(asked - begun)))
        logits = [each.catch_up(after[each.rows], tick, values) for each in parts]
        one = parts[0] if len(parts) == 1 else self._joined(parts)
        self._cohorts = [*others, one]
        places = {row: place for place, row in enumerate(one.rows)}
        return torch.cat(logits)[[places[row] for row in rows]]

    def run(self, row: int) -> int:
        columns = [each.reading.column for each in self._cohorts if row in each.rows]
        return columns[0] - self._width + 1 if columns else 0

    def taken(self, rows: Sequence[int]) -> Cohorts:
        prompts = [self._prompts[row] for row in rows]
        other = Cohorts(self._module, prompts, self._width, self._device)
        for each in self._cohorts:
            pairs = [(n, each.rows.index(row)) for n, row in enumerate(rows) if row in each.rows]
            if pairs:
                names, places = zip(*pairs, strict=True)
                other._cohorts.append(each.taken(places, names))
        return other

    def _begun(self, rows: list[int]) -> Cohort:
        prompts = [self._prompts[row] for row in rows]
        stage = Stage(self._module, widen=True)
        return Cohort(rows, stage, Reading(prompts, self._width, self._device))

    def _joined(self, parts: Sequence[Cohort]) -> Cohort:
        """One of several that have read equally much."""
        one = self._begun([row for each in parts for row in each.rows])
        one.reading.advance(parts[0].reading.column)
        one.stage.state = joined([each.stage.state for each in parts])
        return one


@dataclass
class Reader:
    """One row of a costly model.

    Attributes:
        prompt: its ids.
        stage: with the cache; None before anything is read.
        column: columns read, of the prompt and of what came after.
    """

    module: PreTrainedModel
    prompt: Tensor
    stage: Stage | None = None
    column: int = 0

    def read(self, after: Tensor, tick: Tick, rows: int) -> Tensor:
        """Catch up on the prompt and int64 [1, columns] that came after it.

        Returns:
            float32 [1, 1, rows]: the logits of the last column.
        """
        if self.stage is None:
            self.stage = Stage(self.module, widen=True)
        stage, text = self.stage, torch.cat([self.prompt, after], 1)
        start, stop, size = self.column, text.shape[1], PREFILL_TOKENS
        horizon = stage.feeding.horizon
        if stage.feeding.memory == "none" or (horizon is not None and stop > horizon):
            size = stop
        elif not stage.feeding.chunks:
            size = 1 if start else self.prompt.shape[1]
        logits = None
        while start < stop:
            end = min(start + size, stop)
            tick()  # outside of inference mode: it may run work of its own that writes weights
            with torch.inference_mode():
                places = torch.arange(end, device=text.device)[None]
                logits = stage.run(text[:, start:end], None, places, 1)[..., :rows].float()
            start, size = end, size if stage.feeding.chunks else 1
        assert logits is not None
        self.column = stop
        return logits

    def taken(self) -> Reader:
        """One that continues from here; this one stays as it is."""
        row = torch.zeros(1, dtype=torch.int64, device=self.prompt.device)
        return replace(self, stage=self.stage and self.stage.take(row, 1))


class Readers:
    """As `Costly`, of any model: each row by itself."""

    def __init__(self, rows: list[Reader]) -> None:
        self._rows = rows

    def read(self, rows: Sequence[int], after: Tensor, tick: Tick, values: int) -> Tensor:
        found = [self._rows[row].read(after[row : row + 1], tick, values) for row in rows]
        return torch.cat(found)

    def run(self, row: int) -> int:
        reader = self._rows[row]
        return max(0, reader.column - reader.prompt.shape[1] + 1)

    def taken(self, rows: Sequence[int]) -> Readers:
        return Readers([self._rows[row].taken() for row in rows])
