"""What is kept of a module at one place of a text: enough to give its logits there again.

The final hidden state, input of the output projection, in the module's dtype; or the float32 logits
themselves where they are smaller, or where the class changes them after its projection (a soft-cap,
a scale), which is found out the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from engine.decoding.inputs import embedded
from engine.decoding.projection import float32_logits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CLOSE = 1e-5
"""Difference, absolute and relative, within which a projection gives a module's own logits."""

_PROJECTED: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()
"""Module -> whether its hidden state is what is kept."""


@contextmanager
def overheard(module: PreTrainedModel) -> Iterator[list[Tensor]]:
    """Within this context, the inputs of a module's output projection are added to a list."""
    heard: list[Tensor] = []
    head = cast("nn.Module | None", module.get_output_embeddings())
    if head is None or _PROJECTED.get(module) is False:
        yield heard
        return
    hook = head.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
    try:
        yield heard
    finally:
        hook.remove()


def kept_of(module: PreTrainedModel, heard: list[Tensor], logits: Tensor) -> Tensor:
    """What is kept of the last column.

    Args:
        heard: by `overheard`, in the forward that gave these logits.
        logits: [rows, columns, vocabulary], as the module returned them.

    Returns:
        [rows, width], hidden states or float32 logits.
    """
    last = logits[:, -1].float()
    hidden = heard[-1][:, -1] if heard else None
    if module not in _PROJECTED:
        _PROJECTED[module] = hidden is not None and _projects(module, hidden, last)
    if not _PROJECTED[module]:
        return last.clone()
    assert hidden is not None
    return hidden.clone()


def kept_bytes(module: PreTrainedModel) -> int:
    """Bytes that are kept of a module at one place, at most."""
    head = module.get_output_embeddings()
    rows = embedded(module) * 4
    width = getattr(head, "in_features", None)
    return rows if width is None else min(rows, int(width) * module.dtype.itemsize)


def logits_of(module: PreTrainedModel, kept: Tensor) -> Tensor:
    """float32 [n, vocabulary] of what was kept, [n, width]; new, so that it may be overwritten."""
    if not _PROJECTED[module]:
        return kept.clone()
    return _projected(module, kept).float()


def _projects(module: PreTrainedModel, hidden: Tensor, logits: Tensor) -> bool:
    if logits.shape[-1] * 4 <= hidden.shape[-1] * hidden.element_size():
        return False
    return torch.allclose(_projected(module, hidden).float(), logits, CLOSE, CLOSE)


def _projected(module: PreTrainedModel, hidden: Tensor) -> Tensor:
    with float32_logits(module):
        return cast("Tensor", module.get_output_embeddings()(hidden))
