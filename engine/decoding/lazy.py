"""A batch whose costly models run only for the rows, and at the steps, that ask for them.

    cheap model     · p p p | n n n n n        every row, every column, as in any batch
    row in doubt            ?       ?          its logits alone say so (engine.decoding.rules)
    costly models     p p p   n n n            what the row has not fed them yet, in one call

Rows that ask at the same step are read together (`engine.decoding.catching_up`). Prompts are read
when a row is first in doubt, and never where it is not. How many columns were run is counted a row
and a model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.decoding.batch import Batch
from engine.decoding.catching_up import Costly, costly_of
from engine.decoding.fusion import Mixture, combine
from engine.decoding.inputs import NONE_OWN, Bucket, Fused, Own, Tick, readings
from engine.decoding.rules import in_doubt


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
        self._costly: list[Costly] = [
            costly_of(module, said[place], bucket, self.device)
            for module, place in zip(model.modules[1:], reads[1:], strict=True)
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
        asked = [row for row, each in enumerate(doubted) if each]
        if asked:
            after, values = self._after, cheap.shape[2]
            found = [each.read(asked, after, self.tick, values) for each in self._costly]
            with torch.inference_mode():
                own = [cheap[asked], *found]
                fused[asked] = combine(self._mixture, own, self.model.vocabulary)
        return fused

    def run_of(self, row: int) -> tuple[int, ...]:
        return (self._after.shape[1] + 1, *(each.run(row) for each in self._costly))

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows only, in this order."""
        super().select(rows)
        self._costly = [each.taken(rows) for each in self._costly]

    def branch(self, rows: Sequence[int]) -> LazyBatch:
        """A batch that continues from these rows (repeats allowed), leaving this one unchanged."""
        other = super().branch(rows)
        assert isinstance(other, LazyBatch)
        other._costly = [each.taken(rows) for each in self._costly]
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
