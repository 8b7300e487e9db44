"""Float32 products of linear layers on a CPU, by oneDNN where they are large enough to gain.

torch leaves float32 to MKL, which runs AVX2 code on processors that are not Intel's; oneDNN, which
torch has built in and gives 16 bits to, uses what the processor has: on an AMD one with AVX-512 it
takes 0.45 of the time for hundreds of rows, 0.55 to 0.75 for eight. Each call of it costs ten
microseconds more than MKL's, so that small products stay where they are. Sums differ by rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGE_WEIGHT = 1 << 18
"""Numbers of a weight from which on oneDNN multiplies it with any number of rows."""

LARGE = 1 << 20
"""Multiplications from which on it makes the product of any weight."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`x @ weight.T + bias`.

    Args:
        x: [..., width]; weight: [outputs, width]; bias: [outputs].

    Returns:
        [..., outputs], in their dtype.
    """
    if x.dtype == torch.float32 and x.device.type == "cpu" and not torch.is_grad_enabled():
        size = weight.numel()
        if size >= LARGE_WEIGHT or size * (x.numel() // max(1, weight.shape[1])) >= LARGE:
            return _by_onednn(x, weight, bias)
    return functional.linear(x, weight, bias)


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if not torch.backends.mkldnn.is_available() or weight.dtype != torch.float32:
        return functional.linear(x, weight, bias)
    found: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")
    return found


class Linear(nn.Linear):
    """torch's layer, its product by `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


PLAIN = (nn.Linear, Linear)
"""The classes of a layer that is a product and nothing else."""


def quicken(module: Any) -> None:
    """Let every plain linear layer of a module be a `Linear`."""
    for each in module.modules():
        if type(each) is nn.Linear:
            each.__class__ = Linear


@contextmanager
def as_torch_made_it(module: Any) -> Iterator[None]:
    """Let the layers of a module be torch's for as long as peft looks at them: some of its adapters
    go onto that very class alone."""
    ours: list[nn.Module] = [each for each in module.modules() if type(each) is Linear]
    for each in ours:
        each.__class__ = nn.Linear
    try:
        yield
    finally:
        for each in ours:
            each.__class__ = Linear
