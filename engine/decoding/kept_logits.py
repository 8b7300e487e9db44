"""The likelihood of a linear mixture from logits that are kept: the models run once, whatever the
number of mixtures asked for afterwards.

    −log p(y) = log Σ_v exp(w · (l(v) − l(y)))        gradient E_w[l − l(y)]

Values and gradients are those of `engine.decoding.newton`, which runs the models for each mixture
and knows the Hessian too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.decoding.inputs import CANONICAL, Bucket, Fused, Own, Prompts, Tick, no_tick
from engine.decoding.soundness import refuse_infinite
from engine.decoding.teacher_forced import swept_log_probs

VALUES = 1 << 22
"""Logits that are taken to float64 at a time."""


class _Keeper:
    """A reader that keeps the logits at each place that is scored, and gives their number."""

    count = 1

    def __init__(self, vocabulary: int | None) -> None:
        self._vocabulary = vocabulary
        self.logits: list[Tensor] = []
        self.said: list[Tensor] = []
        self._kept = 0

    @torch.inference_mode()
    def read(self, parts: list[Tensor], ids: Tensor, wanted: Tensor, last: bool = False) -> Tensor:
        rows, columns, size = parts[0].shape
        tokens = size if self._vocabulary is None else min(size, self._vocabulary)
        places = wanted.reshape(-1).nonzero()[:, 0]
        flat = [each.reshape(rows * columns, size)[places, :tokens] for each in parts]
        self.logits.append(torch.stack(flat, 1).float().cpu())
        self.said.append(ids.reshape(-1)[places].cpu())
        found = torch.zeros(1, rows * columns, 1, dtype=torch.float64, device=ids.device)
        numbers = torch.arange(self._kept, self._kept + len(places), dtype=torch.float64)
        found[0, places, 0] = numbers.to(ids.device)
        self._kept += len(places)
        return found.view(1, rows, columns, 1)


def bytes_kept(model: Fused, continuations: Prompts) -> int:
    """What `KeptLikelihood` holds, about."""
    rows = max(each.config.get_text_config().vocab_size for each in model.modules)
    return 4 * len(model.modules) * rows * sum(map(len, continuations))


class KeptLikelihood:
    """Σ over texts of their share times Σ −log p of their tokens, under any linear mixture.

    Args:
        model: its mixture is linear; its weights mean nothing.
        shares: one a continuation.
        own: what modules read instead of the contexts.
    """

    def __init__(
        self,
        model: Fused,
        contexts: Prompts,
        continuations: Prompts,
        shares: Sequence[float],
        own: Own,
        *,
        bucket: Bucket = CANONICAL,
        tick: Tick = no_tick,
    ) -> None:
        keeper = _Keeper(model.vocabulary)
        found = swept_log_probs(
            model, keeper, contexts, continuations, bucket=bucket, tick=tick, own=own
        )
        self._logits = torch.cat(keeper.logits)  # [places, models, vocabulary]
        self._said = torch.cat(keeper.said)
        self._share = torch.zeros(len(self._said), dtype=torch.float64)
        for share, each in zip(shares, found, strict=True):
            self._share[each[0].long()] = share

    def at(self, weights: Tensor) -> tuple[float, Tensor]:
        """Value and gradient by the weights, float64 [models].

        Raises:
            Unsound: the logits are not finite.
        """
        total, gradient = 0.0, torch.zeros(len(weights), dtype=torch.float64)
        step = max(1, VALUES // self._logits[:1].numel()) if len(self._logits) else 1
        for logits, said, share in zip(
            self._logits.split(step), self._said.split(step), self._share.split(step), strict=True
        ):
            apart = logits.double()
            apart -= apart.gather(-1, said[:, None, None].expand(-1, len(weights), 1))
            fused = torch.einsum("m,pmv->pv", weights, apart)
            value = fused.logsumexp(-1)
            refuse_infinite(value)
            total += float(share @ value)
            chance = (fused - value[:, None]).exp()
            gradient += torch.einsum("p,pv,pmv->m", share, chance, apart)
        return total, gradient
