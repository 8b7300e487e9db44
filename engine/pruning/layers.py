"""The linear layers of a model: whose weights can be pruned, and what they read.

Embeddings, the head, norms and biases are never among them, nor a weight that one of these shares.
The experts of a mixture are among them: each is a linear layer of its own, stacked with others in
one weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from engine.pruning.experts import Experts, experts_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(eq=False)
class Layer:
    """One weight matrix, or those of all experts of a layer, with the modules that use it.

    Attributes:
        name: of the weight in the module's state dict.
        modules: more than one where layers share a weight; none where it is of experts.
        turned: whether a matrix is [in, out], as in GPT-2, and not [out, in].
        experts: whose weight it is, a matrix for each; None for a linear layer by itself.
    """

    name: str
    weight: Tensor
    turned: bool
    modules: list[nn.Module] = field(default_factory=list)
    experts: Experts | None = None

    @property
    def width(self) -> int:
        """Numbers that the layer reads at a token."""
        return self.weight.shape[-2 if self.turned else -1]

    def by_output(self, values: Tensor) -> Tensor:
        """A tensor of the weight's shape as [out, in], or as many of these as it has experts."""
        return values.mT if self.turned else values


def linear_layers(module: PreTrainedModel) -> list[Layer]:
    """The linear layers of a transformers model, in its order.

    Raises:
        BadInput: it keeps experts in a layout that is not known.
    """
    from transformers.pytorch_utils import Conv1D

    embeddings = (module.get_input_embeddings(), module.get_output_embeddings())
    kept = {id(weight) for each in embeddings for weight in _weights(each)}
    kept |= {id(each.weight) for each in module.modules() if isinstance(each, nn.Embedding)}
    found: dict[int, Layer] = {}
    for name, each in module.named_modules():
        if (experts := experts_of(name, each)) is not None:
            for own in experts.weights:
                weight = getattr(each, own)
                made = Layer(f"{name}.{own}", weight, experts.turned, experts=experts)
                found.setdefault(id(weight), made)
        if not isinstance(each, nn.Linear | Conv1D) or id(each.weight) in kept:
            continue
        made = Layer(f"{name}.weight", each.weight, isinstance(each, Conv1D))
        found.setdefault(id(each.weight), made).modules.append(each)
    return list(found.values())


def _weights(module: Any) -> Iterator[nn.Parameter]:
    """The matrices of an embedding or a head; of none, nothing."""
    if isinstance(module, nn.Module):
        yield from (each for each in module.parameters() if each.dim() > 1)


@contextmanager
def listening(
    layers: list[Layer], hear: Callable[[Layer, Tensor, int | None], None]
) -> Iterator[None]:
    """Call `hear` with what a layer reads, [tokens, width], at each of its uses within.

    Of experts it is called for each that tokens are routed to, with those tokens and its number.
    """

    def hook(layer: Layer) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda _, given: hear(layer, given[0].detach().reshape(-1, layer.width), None)

    def of(experts: Experts) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]:
        mine = {each.name: each for each in layers if each.experts is experts}

        def heard(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
            for name, expert, read in experts.reads(args, kwargs, out):
                hear(mine[f"{experts.name}.{name}"], read, expert)

        return heard

    handles = [
        module.register_forward_pre_hook(hook(layer))
        for layer in layers
        for module in layer.modules
    ]
    stacks = {id(each.experts): each.experts for each in layers if each.experts is not None}
    handles += [
        each.module.register_forward_hook(of(each), with_kwargs=True) for each in stacks.values()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def unfinite(values: Tensor) -> bool:
    """Whether a number among these is infinite or none."""
    return not bool(torch.isfinite(values).all())
