"""One live transformers module whose weights are rewritten in place for every recipe.

    basis.combine ──float32──► rounded once to the checkpoint's dtype ──► the parameter's own memory

Parameters are views of one buffer per dtype and are bound once: an address never changes, so
    captured
graphs and compiled code survive every move. Weights always come from θ0, never from the last
recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from engine.errors import bad
from engine.merging.basis import Basis

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ALIGNMENT = 256  # bytes: what vectorised kernels and graph captures like


def bind_to_buffers(module: nn.Module) -> dict[torch.dtype, Tensor]:
    """Move every parameter of a module into one flat buffer per dtype; returns the buffers.

    Tied parameters are one parameter and stay tied. Called once, before anything has seen an
    address.
    """
    groups: dict[torch.dtype, list[nn.Parameter]] = {}
    for parameter in module.parameters():
        groups.setdefault(parameter.dtype, []).append(parameter)
    buffers = {}
    for dtype, parameters in groups.items():
        step = max(1, _ALIGNMENT // dtype.itemsize)
        offsets, end = [], 0
        for parameter in parameters:
            offsets.append(end)
            end += -(-parameter.numel() // step) * step
        buffer = torch.zeros(end, dtype=dtype, device=parameters[0].device)
        for parameter, offset in zip(parameters, offsets, strict=True):
            view = buffer[offset : offset + parameter.numel()].view(parameter.shape)
            view.copy_(parameter.data)
            parameter.data = view
        buffers[dtype] = buffer
    return buffers


def resize_rows(module: PreTrainedModel, rows: int) -> None:
    """Give the input and output embeddings of a transformers module `rows` rows; new ones are 0."""
    embedding = cast(nn.Embedding, module.get_input_embeddings())
    if rows and embedding.num_embeddings != rows:
        module.resize_token_embeddings(rows, mean_resizing=False)
        for parameter in module.parameters():
            parameter.requires_grad_(False)


class MergedModel:
    """The live module of a family.

    Args:
        module: a transformers model in the compute dtype, on its device, loaded from the base.
        places: checkpoint tensor name -> parameter name of the module.
    """

    def __init__(self, module: PreTrainedModel, places: Mapping[str, str]) -> None:
        self.module = module
        self.buffers = bind_to_buffers(module)
        parameters = dict(module.named_parameters())
        self.parameters = {name: parameters[place] for name, place in places.items()}

    def write(
        self, basis: Basis, coefficients: Mapping[str, float], tick: Callable[[], None]
    ) -> None:
        """Rewrite every weight for these coefficients: one pass over memory.

        Raises:
            BadInput: a merged value is not finite in the checkpoint's dtype (a coefficient too
                large).
        """
        largest = max(basis.tensors.shape(name).numel() for name in basis.tensors.names)
        scratch = torch.empty(largest, dtype=torch.float32, device=basis.tensors.device)
        for name in basis.tensors.names:
            rounded = merged_tensor(basis, name, coefficients, scratch=scratch)
            self.parameters[name].data.copy_(rounded)
            tick()


def merged_tensor(
    basis: Basis,
    name: str,
    coefficients: Mapping[str, float],
    dtype: torch.dtype | None = None,
    scratch: Tensor | None = None,
) -> Tensor:
    """θ(c)[name], accumulated in float32 and rounded once.

    Args:
        dtype: of the result; the base checkpoint's own where None.
        scratch: float32 memory to accumulate in, reused by the next call; allocated where None.

    Raises:
        BadInput: the result is not finite.
    """
    shape = basis.tensors.shape(name)
    if scratch is None:
        scratch = torch.empty(shape.numel(), dtype=torch.float32, device=basis.tensors.device)
    out = scratch[: shape.numel()].view(shape)
    basis.combine(name, coefficients, out)
    rounded = out.to(dtype or basis.tensors.dtype(name))
    # the sum is finite only if every term is; one that overflows by itself is looked at in full
    if not torch.isfinite(rounded.sum(dtype=torch.float32)) and not torch.isfinite(rounded).all():
        what = f"the merged weights overflow {str(rounded.dtype).removeprefix('torch.')}"
        raise bad(f"tensor {name}", what, "Use smaller coefficients.")
    return rounded
