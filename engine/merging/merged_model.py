"""One live transformers module whose weights are rewritten in place for every recipe.

    sums of the basis ──float32──► rounded once to the checkpoint's dtype ──► the parameter's memory

Parameters are views of one buffer per dtype and are bound once: an address never changes, so
captured graphs and compiled code survive every move. Stored buffers are rewritten where they are.
Weights always come from θ0, never from the last recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from engine.errors import BadInput, bad
from engine.family.placement import Group, Placement, state_of
from engine.merging.basis import Basis, sums_of
from engine.merging.sums import QUANTUM, write

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ALIGNMENT = 256  # bytes: what vectorised kernels and graph captures like


def bind_to_buffers(module: nn.Module) -> dict[torch.dtype, Tensor]:
    """Move every parameter of a module into one flat buffer per dtype; returns the buffers.

    Tied parameters are one parameter and stay tied. Called once, before any address is used. Each
    is let go before the next one is moved, so that beside the buffer there is about one of them.
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
        # not zeros, which would take all of its memory while the parameters still have theirs
        buffer = torch.empty(end, dtype=dtype, device=parameters[0].device)
        for parameter, offset, after in zip(parameters, offsets, [*offsets[1:], end], strict=True):
            flat = buffer[offset:after]
            view = flat[: parameter.numel()].view(parameter.shape)
            view.copy_(parameter.data)
            flat[parameter.numel() :] = 0
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
        placement: where each tensor of the checkpoint lies in it.
    """

    def __init__(self, module: PreTrainedModel, placement: Placement) -> None:
        self.module = module
        self.buffers = bind_to_buffers(module)
        state = {name: each.detach() for name, each in state_of(module).items()}
        self.places = {name: each.of(state[each.target]) for name, each in placement.parts.items()}
        self.parts = placement.parts
        self.groups = placement.groups
        self.fixed = [
            (there := self.places[name], where.to(there.device), values.to(there.device))
            for name, (where, values) in placement.fixed.items()
        ]
        self._state = state
        self._known = {*placement.unused, *(name for name, _ in placement.targets())}

    def write(
        self,
        basis: Basis,
        coefficients: Mapping[str, float],
        tick: Callable[[], None],
        dtype: torch.dtype | None = None,
    ) -> None:
        """Rewrite every weight for these coefficients: one pass over memory.

        Args:
            dtype: that the float32 sums are rounded to; the checkpoint's own where None.

        Tensors that transformers converts are merged group by group, each rounded once to its own
        dtype, then converted and copied into place; one group is held at a time.

        Raises:
            BadInput: a merged value is not finite in the checkpoint's dtype (a coefficient too
                large).
        """
        tensors = basis.tensors
        names = frozenset(tensors.names)
        lost = names - self._known
        if lost:
            raise ValueError(f"{min(lost)} has no place in {type(self.module).__name__}")
        for name in tensors.names:
            if (place := self.places.get(name)) is not None:
                shape = tensors.shape(name)
                # a second embedding may have got rows, with the first, that no model stores
                place = place if place.shape == shape else place[: shape[0]]
                if place.is_contiguous():
                    write_merged(basis, name, coefficients, place, dtype)
                else:
                    place.copy_(merged_tensor(basis, name, coefficients, dtype))
                tick()
        for place, where, values in self.fixed:
            place[where] = values
        for group in self.groups:
            if not names.isdisjoint(group.names):
                self._convert(group, basis, coefficients, tick, dtype)
        _weights_are_new(self.module)

    def _convert(
        self,
        group: Group,
        basis: Basis,
        coefficients: Mapping[str, float],
        tick: Callable[[], None],
        dtype: torch.dtype | None,
    ) -> None:
        there = self._state[group.key]
        merged = {}
        for name in group.names:
            if name in basis.tensors.names:
                shape = basis.tensors.shape(name)
                merged[name] = torch.empty(shape, dtype=there.dtype, device=there.device)
                write_merged(basis, name, coefficients, merged[name], dtype)
            else:
                merged[name] = basis.tensors.untouched(name).to(
                    there.device, there.dtype, copy=True
                )
            tick()
        for target, made in group.convert(merged, self.module).items():
            self._state[target].copy_(made)


def _weights_are_new(module: nn.Module) -> None:
    """Tell the module that its weights are as they are stored: RWKV halves some of them the first
    time that it runs, and remembers that it did."""
    for part in module.modules():
        if "layers_are_rescaled" in vars(part):
            vars(part)["layers_are_rescaled"] = False


def merged_tensor(
    basis: Basis, name: str, coefficients: Mapping[str, float], dtype: torch.dtype | None = None
) -> Tensor:
    """θ(c)[name], accumulated in float32 and rounded once.

    Args:
        dtype: of the result; the base checkpoint's own where None.

    Raises:
        BadInput: the result is not finite.
    """
    tensors = basis.tensors
    chosen = dtype or tensors.dtype(name)
    out = torch.empty(tensors.shape(name), dtype=chosen, device=tensors.device)
    write_merged(basis, name, coefficients, out, chosen)
    return out


def write_merged(
    basis: Basis,
    name: str,
    coefficients: Mapping[str, float],
    out: Tensor,
    dtype: torch.dtype | None = None,
) -> None:
    """Write θ(c)[name] into `out`, contiguous and of any float dtype.

    Args:
        dtype: that the float32 sums are rounded to first; the base checkpoint's own where None.

    Raises:
        BadInput: the result is not finite in that dtype.
    """
    tensors = basis.tensors
    chosen = dtype or tensors.dtype(name)
    if not write(sums_of(basis, name, coefficients), out.view(-1), chosen, tensors.tick):
        raise _overflow(name, chosen)


def merged_parts(
    basis: Basis, name: str, coefficients: Mapping[str, float], dtype: torch.dtype | None = None
) -> Iterator[Tensor]:
    """What `merged_tensor` gives, bit for bit, in order and in parts of at most `QUANTUM` elements;
    each is to be used before the next one is asked for.

    Raises:
        BadInput: the result is not finite.
    """
    tensors = basis.tensors
    chosen = dtype or tensors.dtype(name)
    done = 0
    for each in sums_of(basis, name, coefficients):
        for part in each.split(QUANTUM):
            if part.start != done:
                raise ValueError(f"{name}: elements from {part.start} come after {done}")
            done += part.size
            out = torch.empty(part.size, dtype=chosen, device=tensors.device)
            if not write((part._replace(start=0),), out, chosen, tensors.tick):
                raise _overflow(name, chosen)
            yield out


def _overflow(name: str, dtype: torch.dtype) -> BadInput:
    what = f"the merged weights overflow {str(dtype).removeprefix('torch.')}"
    return bad(f"tensor {name}", what, "Use smaller coefficients.")
