"""A left-padded batch of token ids on its way through every module of a composed model.

    columns      0 ........ width | width + 1 ...
    row 0        · · · p p p p p  | n n n           · padding, p the prompt, n what came after
    row 1        p p p p p p p p  | n n n

Each module keeps its own key-value cache; their logits are combined in float32 as soon as they are
there. What a batch looks like (which prompts, their order, its width, its prefill chunks) depends
on the prompts and the bucket alone, never on load, so that a text does not either. This file knows
nothing of sampling, of end tokens or of scores.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from engine.decoding.fusion import combine
from engine.decoding.growing_cache import branch_cache, growing_cache
from engine.decoding.inputs import Bucket, Fused, Tick, embedded
from engine.decoding.projection import float32_logits

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel

PREFILL_TOKENS = 2048
"""Tokens of one prefill chunk over all rows: tens of milliseconds, so that a tick is never far."""

SCORED_VALUES = 1 << 27
"""Logits held at once while scoring: 0.5 GB in float32."""

BLOCK = 256
"""Columns by which the tables of positions and of padding grow."""


def positions(pads: Tensor, columns: int) -> Tensor:
    """int64 [rows, columns]: 0 for a row's first token and the padding before it, then 1, 2 …"""
    return (torch.arange(columns, device=pads.device) - pads[:, None]).clamp_(min=0)


@dataclass(frozen=True)
class _Stage:
    """One module with what its forward takes."""

    module: PreTrainedModel
    cache: DynamicCache
    names: frozenset[str]
    plain_mask: bool
    widen: bool


def _stage(module: PreTrainedModel, widen: bool) -> _Stage:
    config = module.config.get_text_config()
    unwrap = cast("Callable[[], PreTrainedModel] | None", getattr(module, "get_base_model", None))
    inner = module if unwrap is None else unwrap()  # PEFT's wrapper takes anything and says nothing
    names = frozenset(inspect.signature(inner.forward).parameters)
    # a ready 4-d mask spares building one a step; only where one boolean mask serves every layer
    plain = (
        getattr(config, "_attn_implementation", None) == "sdpa"
        and getattr(config, "sliding_window", None) is None
        and set(getattr(config, "layer_types", None) or ("full_attention",)) == {"full_attention"}
        and hasattr(inner.base_model, "rotary_emb")
    )
    return _Stage(module, growing_cache(module.config), names, plain, widen)


class Batch:
    """Rows of token ids with their caches; `feed` appends columns and returns the combined logits.

    Args:
        widen: float32 from the output projection on for a plain model too; a fused one always is.

    Attributes:
        width: columns of the padded prompts.
        column: columns fed so far.
    """

    def __init__(
        self,
        model: Fused,
        prompts: Sequence[Sequence[int]],
        bucket: Bucket,
        tick: Tick,
        widen: bool = False,
    ) -> None:
        self.model = model
        self.tick = tick
        self.device = model.modules[0].device
        self.width = bucket.width(max(len(ids) for ids in prompts))
        self.column = 0
        padded = [[0] * (self.width - len(ids)) + list(ids) for ids in prompts]
        self.prompts = torch.tensor(padded, device=self.device)
        self.pads = torch.tensor([self.width - len(ids) for ids in prompts], device=self.device)
        self.padded = any(len(ids) < self.width for ids in prompts)
        widen = widen or model.mixture is not None
        self.stages = tuple(_stage(module, widen) for module in model.modules)
        self._reserve(self.width)

    def __len__(self) -> int:
        return int(self.pads.shape[0])

    def _reserve(self, columns: int) -> None:
        columns += BLOCK
        self.positions = positions(self.pads, columns)
        self.real = torch.arange(columns, device=self.device) >= self.pads[:, None]

    def feed(self, ids: Tensor, keep: int = 1) -> Tensor:
        """Append columns to every row.

        Args:
            ids: int64 [rows, columns].
            keep: logits are returned for the last `keep` of these columns.

        Returns:
            float32 [rows, keep, vocabulary rows], combined and masked.
        """
        stop = self.column + ids.shape[1]
        if stop > self.positions.shape[1]:
            self._reserve(stop)
        logits = []
        for stage in self.stages:
            self.tick()  # outside of inference mode: it may run work of its own that writes weights
            with torch.inference_mode():
                logits.append(self._run(stage, ids, stop, keep))
        self.column = stop
        with torch.inference_mode():
            return self._combine(logits)

    def _run(self, stage: _Stage, ids: Tensor, stop: int, keep: int) -> Tensor:
        mask = None
        if self.padded:
            mask = self.real[:, :stop]
            if ids.shape[1] == 1 and stage.plain_mask:
                mask = mask[:, None, None, :]
        arguments: dict[str, Any] = {
            "input_ids": ids,
            "attention_mask": mask,
            "past_key_values": stage.cache,
            "use_cache": True,
        }
        if "position_ids" in stage.names:
            arguments["position_ids"] = self.positions[:, self.column : stop]
        if "logits_to_keep" in stage.names:
            arguments["logits_to_keep"] = keep
        with float32_logits(stage.module) if stage.widen else nullcontext():
            logits = stage.module(**arguments).logits
        return logits[:, -keep:, : self.model.rows].float()

    def _combine(self, logits: list[Tensor]) -> Tensor:
        if self.model.mixture is None:
            return logits[0]
        combined = combine(self.model.mixture, logits)
        limit = self.model.vocabulary
        if limit is not None and limit < combined.shape[-1]:
            combined[..., limit:] = -torch.inf
        return combined

    @property
    def values(self) -> int:
        """Logits a position."""
        return self.model.rows or embedded(self.model.modules[0])

    def read(self, span: int = 1, values: int | None = None) -> Iterator[tuple[int, Tensor]]:
        """Feed the prompts in chunks, yielding what stands over their last `span` columns.

        Args:
            values: logits a position for which the scored chunks are sized; this batch's own by
                default.

        Yields:
            (first column, logits float32 [rows, columns, vocabulary rows]) in order, covering
            `span` columns.
        """
        first = self.width - span
        chunk = max(1, PREFILL_TOKENS // len(self))
        scored = max(1, min(chunk, SCORED_VALUES // ((values or self.values) * len(self))))
        start = 0
        while start < self.width:
            stop = min(start + chunk, max(start, first) + scored, self.width)
            keep = min(stop - start, max(1, stop - first))
            logits = self.feed(self.prompts[:, start:stop], keep)
            if stop > first:
                yield stop - keep, logits
            start = stop

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows only, in this order."""
        chosen = torch.tensor(rows, device=self.device)
        for stage in self.stages:
            stage.cache.batch_select_indices(chosen)
        self._take(chosen)

    def branch(self, rows: Sequence[int]) -> Batch:
        """A batch that goes on from these rows, repeats allowed, while this one stays as it is."""
        chosen = torch.tensor(rows, device=self.device)
        other = copy.copy(self)
        other.stages = tuple(
            replace(each, cache=branch_cache(each.cache, chosen)) for each in self.stages
        )
        other._take(chosen)
        return other

    def _take(self, chosen: Tensor) -> None:
        self.prompts, self.pads = self.prompts[chosen], self.pads[chosen]
        self.positions, self.real = self.positions[chosen], self.real[chosen]
