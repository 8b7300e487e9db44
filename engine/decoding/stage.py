"""One module on its way through a batch, with its cache.

What a module remembers (keys and values, recurrent and convolution states, a list of tensors) is
kept as the module made it. Rows are taken from it generically (`engine.decoding.state`); whether
that holds for a class is tried like the rest (`engine.decoding.trial`).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from engine.decoding.fed import feeding_of, unwrapped
from engine.decoding.growing_cache import growing_cache, only_grows
from engine.decoding.hidden import kept_of, overheard
from engine.decoding.lean import Lean, lean_of
from engine.decoding.projection import float32_logits
from engine.decoding.state import taken, tensors_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_OF_ONE_ROW: WeakKeyDictionary[PreTrainedModel, list[torch.Size]] = WeakKeyDictionary()


class Stage:
    """One module and its cache for a batch.

    Args:
        widen: float32 from the output projection on.

    Attributes:
        feeding: how the module's class is fed.
        keeping: whether `kept` is wanted.
        kept: [rows, width], of the last column that was run, see `engine.decoding.hidden`.
    """

    def __init__(self, module: PreTrainedModel, widen: bool) -> None:
        self.module = module
        self.widen = widen
        self.feeding = feeding_of(module)
        inner = unwrapped(module)  # PEFT's wrapper takes anything and says nothing
        self.names = frozenset(inspect.signature(inner.forward).parameters)
        self.ready_mask = self.feeding.ready_mask and one_mask_serves(inner)
        self.state: Any = growing_cache(inner.config) if self.feeding.memory == "growing" else None
        self.fed: list[Tensor] = []
        self.keeping = False
        self.kept: Tensor | None = None
        self._lean: Lean | None = None
        self._sought = False

    def run(self, ids: Tensor, real: Tensor | None, positions: Tensor, keep: int) -> Tensor:
        """Logits of the last `keep` of the columns `ids`, as returned by the module.

        Args:
            ids: int64 [rows, columns], the columns that are new.
            real: bool [rows, all columns so far, these included]: false where there is padding;
                None if there is none.
            positions: int64 [rows, all columns so far, these included].
        """
        lean = self._lean_step(ids)
        if lean is not None:
            mask = None if real is None else real[:, None, None, :]
            with self._heard() as heard:
                logits = lean(ids, positions[:, -1:], mask, self.state)
            return self._said(logits, heard)
        feeding, again = self.feeding, self._reads_again(positions)
        if feeding.memory == "none" or feeding.horizon is not None:
            self.fed = [torch.cat([*self.fed, ids], 1)]
        if again:
            ids = self.fed[0]
            self.state = None
        arguments: dict[str, Any] = {"input_ids": ids, "use_cache": not again}
        if "attention_mask" in self.names:
            ready = self.ready_mask and ids.shape[1] == 1 and not again
            if feeding.masked == "first" and ids.shape[1] < positions.shape[1]:
                real = None
            mask = real[:, None, None, :] if ready and real is not None else real
            arguments["attention_mask"] = mask
        if feeding.positions and "position_ids" in self.names:
            arguments["position_ids"] = positions[:, positions.shape[1] - ids.shape[1] :]
        if "logits_to_keep" in self.names:
            arguments["logits_to_keep"] = keep
        if self.state is not None:
            arguments[feeding.argument] = self.state
        with self._heard() as heard:
            out = self.module(**arguments)
        if not again and feeding.memory == "own":
            self.state = getattr(out, feeding.argument)
        return self._said(out.logits, heard)[:, -keep:]

    @contextmanager
    def _heard(self) -> Iterator[list[Tensor]]:
        """Runs the module's output projection as is wanted, and takes its inputs."""
        with (
            float32_logits(self.module) if self.widen else nullcontext(),
            overheard(self.module) if self.keeping else nullcontext(list[Tensor]()) as heard,
        ):
            yield heard

    def _said(self, logits: Tensor, heard: list[Tensor]) -> Tensor:
        if self.keeping:
            self.kept = kept_of(self.module, heard, logits)
        return logits

    def _lean_step(self, ids: Tensor) -> Lean | None:
        """What runs these columns instead of the module, if they are one."""
        if ids.shape[1] != 1 or not self.ready_mask or self.feeding.horizon is not None:
            return None
        if not only_grows(self.state):
            return None
        if not self._sought:
            self._sought, self._lean = True, lean_of(unwrapped(self.module))
        return self._lean

    def _reads_again(self, positions: Tensor) -> bool:
        if self.feeding.memory == "none":
            return True
        horizon = self.feeding.horizon
        return horizon is not None and positions.shape[1] > horizon

    def select(self, rows: Tensor, count: int) -> None:
        """Keep these of `count` rows, in this order.

        Plain attention frees each layer's old rows before it allocates the next one's: reused
        memory costs half of what new pages do.
        """
        if self.feeding.attends and only_grows(self.state):
            self.state.batch_select_indices(rows)
            self.fed = [each.index_select(0, rows) for each in self.fed]
        else:
            other = self.take(rows, count)
            self.state, self.fed = other.state, other.fed

    def go_on(self, other: Stage) -> None:
        """Continue from where another stage of the module is, which is not used any more."""
        self.state, self.fed, self.kept = other.state, other.fed, other.kept

    def take(self, rows: Tensor, count: int) -> Stage:
        """A stage that continues from these of `count` rows (repeats allowed); this one is
        unchanged."""
        other = copy.copy(self)
        one = None if self.feeding.attends else self._of_one_row()
        other.state = taken(self.state, rows, count, one)
        other.fed = [each.index_select(0, rows) for each in self.fed]
        return other

    @torch.inference_mode()
    def _of_one_row(self) -> list[torch.Size]:
        """Shapes of what the module remembers of one row of one token, found once a module."""
        inner = unwrapped(self.module)
        if inner not in _OF_ONE_ROW:
            stage = Stage(self.module, widen=False)
            ids = torch.zeros(1, 1, dtype=torch.int64, device=self.module.device)
            stage.run(ids, None, ids, 1)
            _OF_ONE_ROW[inner] = [each.shape for each in tensors_of(stage.state)]
        return _OF_ONE_ROW[inner]


def one_mask_serves(module: PreTrainedModel) -> bool:
    """Whether one boolean mask can serve every layer: a ready one spares building one a step."""
    config = module.config.get_text_config()
    return (
        getattr(config, "_attn_implementation", None) == "sdpa"
        and getattr(config, "sliding_window", None) is None
        and set(getattr(config, "layer_types", None) or ("full_attention",)) == {"full_attention"}
        and hasattr(module.base_model, "rotary_emb")
    )
