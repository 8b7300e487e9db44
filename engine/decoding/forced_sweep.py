"""Log-probabilities of given tokens under many mixtures of the same models, from one pass of them.

    logits of M models at a position ─┬─ weights of mixture 1 ─► log p of the token
                                      ├─ weights of mixture 2 ─► …
                                      └─ …

On a fixed text no model's output depends on the weights, so that the models run once and every
mixture is read from what they gave, chunk by chunk; nothing else is kept. Linear mixtures of
float32 logits in main memory, one of them or a thousand, are read by the machine code of
`engine.decoding.exponentials`, so that a value never depends on how many were read together; all
others are combined and normalised one after another, as a mixture by itself is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from engine.decoding.exponentials import sweep
from engine.decoding.fusion import Mixture, combine
from engine.decoding.inputs import Fused, Tick
from engine.decoding.rules import linear
from engine.decoding.soundness import SAMPLE, SHARE, alike, refuse_alike, refuse_infinite
from engine.merging.compiled import LANES
from engine.merging.shared import shared

QUANTUM = 1 << 26
"""Exponentials between two ticks: tens of milliseconds on one core."""

FAR = 16.0
"""log Σ exp above which the shift was too far below the largest exponent: at 16 float32 is 1e-6
apart."""

PART = 16
"""Positions that a thread takes at a time."""


class Reader(Protocol):
    """Reads log-probabilities from the logits of each model.

    Attributes:
        count: mixtures.
    """

    count: int

    def read(self, parts: list[Tensor], ids: Tensor, wanted: Tensor, last: bool = False) -> Tensor:
        """log p of `ids` under each mixture.

        Args:
            parts: float32 [rows, columns, vocabulary rows] a model; may be overwritten.
            ids: int64 [rows, columns, k].
            wanted: bool [rows, columns]: where it is asked for.
            last: they are those of a prompt's last token.

        Returns:
            float32 [mixtures, rows, columns, k]; of no meaning where it is not asked for.

        Raises:
            Unsound: logits that are asked for are alike, or not finite.
        """


def reader_of(model: Fused, mixtures: Sequence[Mixture] | None, tick: Tick) -> Reader:
    """What reads these mixtures of a model's modules; None: the model's own."""
    if model.mixture is None:
        return OneByOne(model, [None])
    chosen = [model.mixture] if mixtures is None else list(mixtures)
    passes = model.mixture.passes
    float32 = model.modules[0].device.type == "cpu" and (model.rows or LANES) >= LANES
    if float32 and all(each.kind == "linear" for each in chosen):
        return Linear(passes, chosen, model.vocabulary, tick)
    return OneByOne(model, chosen)


class OneByOne:
    """Combines and normalises one mixture after another, each by itself."""

    def __init__(self, model: Fused, mixtures: Sequence[Mixture | None]) -> None:
        self.count = len(mixtures)
        self._model = model
        self._mixtures = mixtures

    @torch.inference_mode()
    def read(self, parts: list[Tensor], ids: Tensor, wanted: Tensor, last: bool = False) -> Tensor:
        found = []
        for mixture in self._mixtures:
            logits = self._combined(mixture, parts)
            refuse_alike(alike(logits, self._model.vocabulary), wanted)
            if last:  # as `log_softmax` rounds
                logits = logits.log_softmax(-1)
                refuse_infinite(logits.amax(-1), wanted)
                found.append(logits.gather(-1, ids))
            else:
                total = logits.logsumexp(-1)
                refuse_infinite(total, wanted)
                found.append(logits.gather(-1, ids) - total[..., None])
        return torch.stack(found)

    def _combined(self, mixture: Mixture | None, parts: list[Tensor]) -> Tensor:
        if mixture is None or self._model.mixture is None:
            return parts[0]
        passes = self._model.mixture.passes
        chosen = [parts[passes.index(each)] for each in mixture.passes]
        if len(self._mixtures) > 1:  # combining may overwrite them
            chosen = [each.clone() for each in chosen]
        return combine(mixture, chosen, self._model.vocabulary)


class Linear:
    """Reads linear mixtures of float32 logits in main memory.

    A model that a mixture lacks has weight 0 in it, which adds nothing, exactly.
    """

    def __init__(
        self,
        passes: Sequence[tuple[str, str | None]],
        mixtures: Sequence[Mixture],
        vocabulary: int | None,
        tick: Tick,
    ) -> None:
        self.count = len(mixtures)
        self.weights = torch.tensor(
            [[dict(zip(m.passes, m.weights, strict=True)).get(each, 0.0) for each in passes]
             for m in mixtures],
            dtype=torch.float32,
        )  # fmt: skip
        self._vocabulary = vocabulary
        self._tick = tick

    @torch.inference_mode()
    def read(self, parts: list[Tensor], ids: Tensor, wanted: Tensor, last: bool = False) -> Tensor:
        rows, columns, size = parts[0].shape
        tokens = size if self._vocabulary is None else min(size, self._vocabulary)
        logits = [each.reshape(rows * columns, size) for each in parts]
        places = wanted.reshape(-1).nonzero()[:, 0]
        every = ids.reshape(rows * columns, -1)[places]
        known = every < tokens
        said = every.masked_fill(~known, 0)
        anchors = said[:, 0].contiguous()
        total = self.totals(logits, places, anchors, tokens)
        found = torch.empty(self.count, rows * columns, ids.shape[-1])
        for k in range(said.shape[1]):
            value = -total
            if k:
                value += self._differences(logits, places, said[:, k], anchors)
            value.masked_fill_(~known[:, k, None], -torch.inf)
            found[:, places, k] = value.float().t()
        return found.view(self.count, rows, columns, -1)

    def _differences(
        self, logits: Sequence[Tensor], places: Tensor, ids: Tensor, anchors: Tensor
    ) -> Tensor:
        """Σ_m w_m (l_m(id) − l_m(anchor)), float64 [positions, mixtures]."""
        total = torch.zeros(len(places), self.count, dtype=torch.float64)
        for place, each in enumerate(logits):
            apart = each[places, ids].double() - each[places, anchors].double()
            total += apart[:, None] * self.weights[:, place].double()
        return total

    def totals(
        self, logits: Sequence[Tensor], places: Tensor, anchors: Tensor, tokens: int
    ) -> Tensor:
        """log Σ_v exp(Σ_m w_m (l_m(v) − l_m(anchor))) over the first `tokens` ids.

        Args:
            logits: float32 [all positions, vocabulary rows] a model, contiguous in rows.
            places: int64 [positions], those that are asked for.
            anchors: int64 [positions], ids below `tokens`.

        Returns:
            float64 [positions, mixtures].

        Raises:
            Unsound: a total is not finite, or the logits are alike.
        """
        shifts = torch.empty(len(places), self.count)
        sums = torch.empty(len(places), self.count, dtype=torch.float64)
        candidates = [each[..., :tokens].argmax(-1)[places] for each in logits]
        apart = [
            torch.stack([each[places, ids] - each[places, anchors] for each in logits], -1)
            for ids in candidates
        ]
        nearby = torch.stack(apart, 1).contiguous()
        run = sweep(len(logits))
        given = (
            *(each.data_ptr() for each in logits), *(each.stride(0) for each in logits),
            places.data_ptr(), anchors.data_ptr(), nearby.data_ptr(), self.weights.data_ptr(),
            self.count, shifts.data_ptr(), sums.data_ptr(),
        )  # fmt: skip
        step = max(1, QUANTUM // (tokens * self.count))
        for start in range(0, len(places), step):
            if start:
                self._tick()
            count = min(step, len(places) - start)

            def some(first: int, more: int, start: int = start) -> int:
                run(start + first, start + first + more, tokens, *given)
                return 0

            shared(some, count, PART)
        total = sums.log()
        total += shifts
        far = ~(sums.log() <= FAR)
        if bool(far.any()):
            self._again(total, far, logits, places, anchors, tokens)
        refuse_infinite(total)
        self._refuse_alike(sums, logits, places, tokens)
        return total

    def _again(
        self,
        total: Tensor,
        far: Tensor,
        logits: Sequence[Tensor],
        places: Tensor,
        anchors: Tensor,
        tokens: int,
    ) -> None:
        """Write those totals again whose largest exponent was far above the shift."""
        for mixture in far.any(0).nonzero()[:, 0].tolist():
            rows = far[:, mixture].nonzero()[:, 0]
            at = places[rows]
            fused = torch.zeros(len(rows), tokens, dtype=torch.float64)
            for place, each in enumerate(logits):
                weight = float(self.weights[mixture, place])
                origin = each[at, anchors[rows]].double()
                if weight:
                    fused += (each[at, :tokens].double() - origin[:, None]) * weight
            total[rows, mixture] = fused.logsumexp(-1)

    def _refuse_alike(
        self, sums: Tensor, logits: Sequence[Tensor], places: Tensor, tokens: int
    ) -> None:
        """As `refuse_alike`: where so many tokens share the largest logit, each of them adds at
        least 1 to the sum, so that few positions have to be looked at."""
        many = min(tokens, max(2, tokens // SHARE))
        near = sums >= many * 0.999
        for mixture in near.any(0).nonzero()[:, 0].tolist():
            at = places[near[:, mixture]]
            weights = self.weights[mixture].tolist()
            step = max(1, tokens // SAMPLE)
            few = linear([each[at, :tokens:step] for each in logits], weights, {})
            if int((few == few.amax(-1, keepdim=True)).sum(-1).max()) <= min(2, tokens - 1):
                continue
            refuse_alike(alike(linear([each[at, :tokens] for each in logits], weights, {})))
