"""A batch whose costly models run only for the rows, and at the steps, that ask for them.

    cheap model     · p p p | n n n n n        every row, every column, as in any batch
    row in doubt            ?       ?          its logits alone say so (engine.decoding.rules)
    costly models     p p p   n n n            what the row has not fed them yet, in one call

A row keeps its costly models' caches by itself: what it is told depends on no neighbour. Prompts
are read when a row is first in doubt, and never where it is not. How many columns were run is
counted a row and a model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.decoding.batch import PREFILL_TOKENS, Batch
from engine.decoding.fusion import Mixture, combine
from engine.decoding.inputs import NONE_OWN, Bucket, Fused, Own, Tick, readings
from engine.decoding.rules import in_doubt
from engine.decoding.stage import Stage

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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


class LazyBatch(Batch):
    """As `Batch`, of a mixture whose first model says where the others are asked (kind gated)."""

    def __init__(
        self, model: Fused, prompts: Sequence[Sequence[int]], bucket: Bucket, tick: Tick,
        own: Own = NONE_OWN,
    ) -> None:  # fmt: skip
        super().__init__(model, prompts, bucket, tick, own=own)
        assert model.mixture is not None
        self._mixture: Mixture = model.mixture
        said, reads = readings(model, prompts, own)
        self._readers = [
            [
                Reader(module, torch.tensor([said[place][row]], device=self.device))
                for module, place in zip(model.modules[1:], reads[1:], strict=True)
            ]
            for row in range(len(prompts))
        ]
        self.stages, self.readings, self.reads = (
            self.stages[:1], (self.readings[self.reads[0]],), (0,),
        )  # fmt: skip
        self.width = self.readings[0].width
        self._after = self.prompts[:, :0]

    def feed(self, ids: Tensor, keep: int = 1) -> Tensor:
        """As of any batch; one column, and its logits."""
        if ids.shape[1] != 1:
            raise ValueError(f"{ids.shape[1]} columns at once, of which each may ask all models")
        self._after = torch.cat([self._after, ids], 1)
        return super().feed(ids, keep)

    def combined(self, logits: list[Tensor]) -> Tensor:
        (cheap,) = logits
        with torch.inference_mode():
            known = cheap[..., : self.model.vocabulary]
            doubted = in_doubt(known, dict(self._mixture.options))[:, 0].tolist()
            alone = Mixture(self._mixture.models[:1], (1.0,))
            fused = combine(alone, [cheap.clone()], self.model.vocabulary)
        for row, asked in enumerate(doubted):
            if asked:
                after = self._after[row : row + 1]
                found = [each.read(after, self.tick, cheap.shape[2]) for each in self._readers[row]]
                with torch.inference_mode():
                    own = [cheap[row : row + 1].clone(), *found]
                    fused[row] = combine(self._mixture, own, self.model.vocabulary)[0]
        return fused

    def run_of(self, row: int) -> tuple[int, ...]:
        after = self._after.shape[1] + 1
        costly = (max(0, each.column - each.prompt.shape[1] + 1) for each in self._readers[row])
        return (after, *costly)

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows only, in this order."""
        super().select(rows)
        self._readers = [self._readers[row] for row in rows]

    def branch(self, rows: Sequence[int]) -> LazyBatch:
        """A batch that continues from these rows (repeats allowed), leaving this one unchanged."""
        other = super().branch(rows)
        assert isinstance(other, LazyBatch)
        other._readers = [[each.taken() for each in self._readers[row]] for row in rows]
        return other

    def _keep(self, chosen: Tensor) -> None:
        super()._keep(chosen)
        self._after = self._after.index_select(0, chosen)


def batch_of(
    model: Fused, prompts: Sequence[Sequence[int]], bucket: Bucket, tick: Tick,
    owners: Sequence[int] | None = None, own: Own = NONE_OWN,
) -> Batch:  # fmt: skip
    """The batch that chooses tokens from a model: lazy where some of its models may rest."""
    mixture = model.mixture
    if mixture is not None and mixture.rests:
        return LazyBatch(model, prompts, bucket, tick, own)
    return Batch(model, prompts, bucket, tick, owners=owners, own=own)


def decided(first: Tensor, mixture: Mixture, allowed: float) -> Tensor:
    """bool [n]: where an entropy is so far from a mixture's threshold that rounding cannot tell.

    Args:
        first: float32 [n, ids], logits of the first model.
        allowed: how far a logit may move.
    """
    threshold = dict(mixture.options)["threshold"]
    reach = 2 * allowed * math.log(first.shape[-1])  # dH = −Σ p (log p + H) dl
    either = [in_doubt(first, {"threshold": threshold + each}) for each in (-reach, reach)]
    return either[0] == either[1]
