"""Scores of weights on rows that a user calls harmful, and which of the weights go.

    activation   |w_ij| · sqrt(1/n Σ_rows Σ_tokens x_j²)     Wanda's score (arXiv 2306.11695)
    gradient     |w_ij| · |Σ_rows ∂/∂w_ij mean loss of the row's target|

The published code of Antidote (arXiv 2408.09600, github.com/git-disl/Antidote, utils.py) has both:
`prune_wanda_outlier`, which its published runs call, and `prune_with_FI`, whose call is commented
out. As there, `activation` takes its share of every output row, k − int(k · (1 − ratio)) of k
weights, and of equal scores the later one goes first; `gradient` takes int(n · ratio) of the n
weights of a matrix. Ours: its published runs prune the matrices of LoRA adapters, or the query, key
and value projections of a model that was trained as a whole; here it is every linear layer of the
merged model, and each expert of a mixture as the linear layers that it is. And it reads batches,
padding included, and sums in 32 bits; here one row is read at a time, in an order that the rows'
content fixes, and squares are summed in float64, so that neither a file's order nor the size of a
batch changes anything. Of equal gradient scores, too, the later one goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.decoding.batch import Batch
from engine.decoding.inputs import Bucket, Fused, Tick, check_ids
from engine.errors import ParetoscopeError
from engine.merging.largest import largest_of_rows
from engine.pruning.layers import Layer, linear_layers, listening, unfinite

_ALONE = Bucket(rows=1, multiple=1)
"""One row at a time, without padding."""

_ELEMENTS = 1 << 22
"""Scores that are held at once of one matrix, where rows are looked at by themselves."""

Halves = tuple[Sequence[int], Sequence[int]]
"""Token ids of a prompt and of what follows it."""


def norms(model: Fused, texts: Sequence[Halves], tick: Tick) -> dict[str, Tensor]:
    """sqrt(1/n Σ x²) of what each linear layer reads, over every token of `texts`.

    Returns:
        Name of a weight -> float64 [width] on the CPU, of experts [experts, width]; layers that
        none of the texts reach are missing, experts that none do are 0.

    Raises:
        BadInput: a text that the model cannot take; experts in a layout that is not known.
        ParetoscopeError: what is read is not finite.
    """
    (module,) = model.modules
    layers = linear_layers(module)
    sums: dict[str, Tensor] = {}
    deaf = False

    def hear(layer: Layer, read: Tensor, expert: int | None) -> None:
        if not deaf:
            squares = read.to(torch.float64).square().sum(0).cpu()
            shape = (layer.width,) if expert is None else (layer.weight.shape[0], layer.width)
            own = sums.setdefault(layer.name, torch.zeros(shape, dtype=torch.float64))
            own[... if expert is None else expert] += squares

    def away() -> None:
        nonlocal deaf
        deaf = True  # what runs in between reads other texts
        try:
            tick()
        finally:
            deaf = False

    read = [[*prompt, *follows] for prompt, follows in texts]
    check_ids(model, read, [0] * len(read), "more")
    with listening(layers, hear):
        for ids in read:
            for _ in Batch(model, [ids], _ALONE, away).read():
                pass
    if any(unfinite(each) for each in sums.values()):
        raise ParetoscopeError("The merged model's activations are not finite: nothing was pruned.")
    return {name: (each / len(read)).sqrt() for name, each in sums.items()}


def by_activation(layer: Layer, norm: Tensor, ratio: float) -> Tensor:
    """bool of the weight's shape: the share of every output row with the largest |w|·‖x‖.

    Of experts that no token reaches, or zeros alone, no weight has a score, and none goes.
    """
    weight = layer.by_output(layer.weight.detach())
    if layer.experts is None:
        return layer.by_output(_of_rows(weight, norm, ratio))
    mask = torch.zeros(weight.shape, dtype=torch.bool, device=weight.device)
    for expert in norm.any(1).nonzero()[:, 0].tolist():
        mask[expert] = _of_rows(weight[expert], norm[expert], ratio)
    return layer.by_output(mask)


def _of_rows(weight: Tensor, norm: Tensor, ratio: float) -> Tensor:
    """The same of one matrix [out, in]."""
    scale = norm.to(weight.device, torch.float32)
    width = weight.shape[1]
    count = width - int(width * (1 - ratio))
    parts = weight.split(max(1, _ELEMENTS // width), dim=0)
    return torch.cat([_largest(rows.to(torch.float32).abs() * scale, count) for rows in parts])


def by_gradient(layer: Layer, gradient: Tensor, ratio: float) -> Tensor:
    """bool of the weight's shape: the share of each matrix with the largest |w|·|gradient|.

    Experts whose gradient is 0 keep their weights, as above.
    """
    weight = layer.weight.detach()
    if layer.experts is None:
        return _of_matrix(weight, gradient, ratio)
    mask = torch.zeros(weight.shape, dtype=torch.bool, device=weight.device)
    for expert in gradient.flatten(1).any(1).nonzero()[:, 0].tolist():
        mask[expert] = _of_matrix(weight[expert], gradient[expert], ratio)
    return mask


def _of_matrix(weight: Tensor, gradient: Tensor, ratio: float) -> Tensor:
    score = (weight.to(torch.float32).abs() * gradient.abs()).reshape(1, -1)
    return _largest(score, int(score.numel() * ratio)).view(weight.shape)


def _largest(scores: Tensor, count: int) -> Tensor:
    """bool like `scores` [rows, k]: the `count` largest of each row, of equal ones the later."""
    (found,) = largest_of_rows(scores.flip(-1), [count])
    return found.flip(-1)


def gradients(
    model: Fused, texts: Sequence[Halves], tick: Tick, take: Callable[[Layer, Tensor], None]
) -> None:
    """Give `take` the gradient of Σ_rows (mean loss of what follows) at each layer's weight.

    Args:
        take: is called with float32 of the weight's shape, once a layer that the loss reaches.

    Raises:
        BadInput: a text that the model cannot take.
        ParetoscopeError: a gradient is not finite.
    """
    (module,) = model.modules
    layers = linear_layers(module)
    read = [[*prompt, *follows] for prompt, follows in texts]
    check_ids(model, read, [0] * len(read), "more")
    sums: dict[str, Tensor] = {}
    for ids, (prompt, _) in zip(read, texts, strict=True):
        tick()  # it may run work of its own on these weights, so nothing is left on them
        given = torch.tensor([ids], device=module.device)
        weights = [each.weight for each in layers]
        with torch.enable_grad():
            for each in weights:
                each.requires_grad_(True)
            try:
                logits = module(input_ids=given, use_cache=False).logits[0, len(prompt) - 1 : -1]
                loss = torch.nn.functional.cross_entropy(logits.float(), given[0, len(prompt) :])
                found = torch.autograd.grad(loss, weights, allow_unused=True)
            finally:
                for each in weights:
                    each.requires_grad_(False)
        for layer, gradient in zip(layers, found, strict=True):
            if gradient is not None:
                own = sums.setdefault(layer.name, torch.zeros_like(gradient, dtype=torch.float32))
                own += gradient
    for layer in layers:
        if layer.name in sums:
            gradient = sums.pop(layer.name)
            if unfinite(gradient):
                what = "The gradients of the merged model are not finite: nothing was pruned."
                raise ParetoscopeError(what)
            take(layer, gradient)
