"""The experts of a mixture, which transformers keeps stacked: one tensor for all of a layer.

    [experts, out, in], or [experts, in, out]     what transformers' decorator says of the class
    gate_up_proj (or up_proj)                     reads the hidden states that are routed to it
    down_proj                                     reads what the activation makes of that

A class decorated with `use_experts_implementation` (transformers/integrations/moe.py) says all that
its kernels need: the layout, the biases, the activation. Its forward is followed by it here, expert
by expert, and held against what the module itself gave, so that a layout is never guessed. Any
other module that keeps experts is refused by name: it would silently stay unpruned.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from engine.errors import BadInput, ParetoscopeError, bad

_SAID = ("has_gate", "has_bias", "has_post_expert_norm", "is_transposed", "_apply_gate")
"""What the decorator leaves on a module."""

_DOWN = "down_proj"

_NEAR = 0.05
"""Of the output's length: products in 16 bits differ by less, another layout by as much as it."""


@dataclass(frozen=True, eq=False)
class Experts:
    """One module that keeps the experts of a layer.

    Attributes:
        name: of the module.
        module: of a decorated class.
        up: name of the parameter that reads the hidden states.
        turned: whether a matrix is [in, out], and not [out, in].
    """

    name: str
    module: Any
    up: str
    turned: bool

    @property
    def weights(self) -> tuple[str, str]:
        """Names of the parameters: of what reads the hidden states, and what is read."""
        return self.up, _DOWN

    def reads(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], given: Tensor
    ) -> Iterator[tuple[str, int, Tensor]]:
        """What each expert's matrices read in one call: (parameter, expert, [tokens, width]).

        Args:
            args, kwargs: of the call.
            given: what the module returned.

        Raises:
            ParetoscopeError: the module computes something else than is followed here.
        """
        bound = inspect.signature(self.module.forward).bind(*args, **kwargs)
        hidden, chosen, shares = list(bound.arguments.values())[:3]
        hidden = hidden.detach()
        mine = hidden.new_zeros(hidden.shape)
        count = getattr(self.module, self.up).shape[0]
        for expert in chosen.unique().tolist():
            if expert >= count:  # routed to none of these
                continue
            tokens, slots = (chosen == expert).nonzero(as_tuple=True)
            read = hidden[tokens]
            yield self.up, expert, read
            between = self._activated(self._linear(self.up, expert, read))
            yield _DOWN, expert, between
            out = self._linear(_DOWN, expert, between)
            if self.module.has_post_expert_norm:
                out = self.module.post_expert_norm(out)
            mine.index_add_(0, tokens, (out * shares[tokens, slots, None]).to(mine.dtype))
        theirs = given.detach().double()
        if theirs.isfinite().all() and (theirs - mine).norm() > _NEAR * theirs.norm():
            what = f"{_shown(self.name, self.module)} computes something else than it says it does."
            raise ParetoscopeError(f"{what} Nothing was pruned.")

    def _linear(self, name: str, expert: int, read: Tensor) -> Tensor:
        weight = getattr(self.module, name).detach()[expert]
        out = nn.functional.linear(read.to(weight.dtype), weight.T if self.turned else weight)
        return out + getattr(self.module, f"{name}_bias")[expert] if self.module.has_bias else out

    def _activated(self, read: Tensor) -> Tensor:
        return self.module._apply_gate(read) if self.module.has_gate else self.module.act_fn(read)


def experts_of(name: str, module: nn.Module) -> Experts | None:
    """The experts that a module keeps itself; None where it keeps none.

    Raises:
        BadInput: it does, in a layout that it does not state.
    """
    own = {key: each for key, each in module.named_parameters(recurse=False) if each.dim() > 1}
    if all(hasattr(module, each) for each in _SAID):
        stated: Any = module
        up = "gate_up_proj" if stated.has_gate else "up_proj"
        found = Experts(name, stated, up, stated.is_transposed)
        biases = {f"{each}_bias" for each in found.weights} if stated.has_bias else set()
        if own.keys() != {*found.weights, *biases} or not _fits(own, found):
            raise _refused(name, module)
        return found
    keeps = "expert" in type(module).__name__.lower() or "expert" in name.lower().split(".")[-1]
    if own and keeps and not isinstance(module, nn.Linear | nn.Embedding):
        raise _refused(name, module)
    return None


def unplaced(weight: str) -> BadInput:
    """What to say of experts that are not made of stored tensors as they are."""
    what = f"transformers converts the experts {weight} out of the stored ones while it loads them"
    return bad("prune", f"{what}, and no checkpoint says where their zeros go", "Leave it out.")


def _fits(own: Mapping[str, Tensor], found: Experts) -> bool:
    """Whether what one matrix gives, gated or not, is what the other reads."""
    up, down = (own[each] for each in found.weights)
    if up.dim() != 3 or down.dim() != 3 or up.shape[0] != down.shape[0]:
        return False
    made, read = (up.mT, down.mT) if found.turned else (up, down)
    inner = made.shape[1] // 2 if found.module.has_gate else made.shape[1]
    return read.shape[2] == inner and read.shape[1] == made.shape[2]


def _shown(name: str, module: nn.Module) -> str:
    return f"{type(module).__name__} ({name})"


def _refused(name: str, module: nn.Module) -> BadInput:
    what = f"{_shown(name, module)} keeps its experts' weights in a layout that is not known"
    return bad("prune", what, "Leave it out.")
