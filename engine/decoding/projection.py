"""Float32 from the output projection on, for models that compute in 16 bits.

Near 20, bfloat16 logits are 0.125 apart, so combining them in float32 afterwards is too late.
Inside `float32_logits` the module's output embedding multiplies its 16-bit inputs with float32 sums
and float32 results; what the model does next (a soft-cap, a scale) then runs in float32 too.
Outside it, the module is untouched.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional

from engine.family.products import PLAIN

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@functools.cache
def _multiplies_into_float32(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether `torch.mm` there takes `dtype` and gives float32, with no rounding between."""
    one = torch.ones(16, 16, device=device, dtype=dtype)
    try:
        return torch.mm(one, one, out_dtype=torch.float32).dtype == torch.float32
    except torch.OutOfMemoryError:
        raise  # says nothing of what it can do, and the answer is kept
    except (RuntimeError, TypeError, NotImplementedError):
        return False


def project(weight: Tensor, bias: Tensor | None, hidden: Tensor) -> Tensor:
    """`hidden @ weight.T + bias` in float32.

    Args:
        weight: [vocabulary, width], 16-bit; hidden: [..., width], the same dtype and device.

    Returns:
        float32 [..., vocabulary].
    """
    if (
        hidden.is_cuda
        and hidden.dtype == weight.dtype
        and _multiplies_into_float32(hidden.device, hidden.dtype)
    ):
        rows = hidden.reshape(-1, hidden.shape[-1])
        product = torch.mm(rows, weight.t(), out_dtype=torch.float32).view(*hidden.shape[:-1], -1)
    else:
        product = functional.linear(hidden.float(), weight.float())
    return product if bias is None else product + bias.float()


@contextmanager
def float32_logits(module: PreTrainedModel) -> Iterator[None]:
    """Within this context, `module` uses float32 from the output projection on; float32 models are
    left alone."""
    head = module.get_output_embeddings()
    if head is None or next(head.parameters()).dtype not in (torch.bfloat16, torch.float16):
        yield
        return

    def linear(hidden: Tensor) -> Tensor:
        return project(head.weight, head.bias, hidden)

    def widened(hidden: Tensor) -> Tensor:  # a head with an adapter in it, or a kind of its own
        del head.forward
        try:
            parts = {name: part.float() for name, part in head.named_parameters()}
            return torch.func.functional_call(head, parts, (hidden.float(),))
        finally:
            head.forward = widened

    head.forward = linear if type(head) in PLAIN else widened
    try:
        yield
    finally:
        del head.forward


def logit_rows(module: PreTrainedModel) -> int:
    """Rows of a module's logits; some classes hold a whole causal model as their text part."""
    head = module.get_output_embeddings()
    if head is None:
        head = cast("PreTrainedModel", module.get_decoder()).get_output_embeddings()
    return len(head.weight) if head is not None else module.config.get_text_config().vocab_size
