"""multislerp: the weighted mean of several models on a sphere, taken once in the tangent space.

    u_i = θ_i / |θ_i|;  m = Σ w_i u_i, to length one
    v = Σ w_i (u_i − (u_i · m) m);  θ = Σ w_i |θ_i| · (cos |v| · m + sin |v| · v / |v|)

With a base of differences to it. One model is taken as it is. Where m is none, two models are
averaged; more have no such mean, unless all of them are the base (zero without one), which is then
the result. Rounded to the tensors' type at every step;
in float16, where `eps` is nothing, mergekit divides by lengths of 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import bad
from engine.mergekit.method import Inputs, merge
from engine.mergekit.settings import WEIGHT
from engine.parameter import Parameter

if TYPE_CHECKING:
    from torch import Tensor


NORMALIZE = Parameter("normalize_weights", "flag", "Divide weights by their sum.", True)
EPS = Parameter("eps", "float", "Added to a length that is divided by.", 1e-8)


@merge(
    summary="The weighted mean of directions, at the mean length.",
    source="https://goddard.blog/posts/multislerp-wow-what-a-cool-idea",
    base="optional",
    each=(WEIGHT,),
    shared=(NORMALIZE, EPS),
    ignored=("int8_mask",),
)
def multislerp(inputs: Inputs) -> Tensor:
    """The mean on the sphere.

    Raises:
        BadInput: weights, or weighted directions, sum to nothing.
    """
    import torch

    base, eps, shape = inputs.base, inputs.values["eps"], inputs.models[0].tensor.shape
    tensors = [part.tensor for part in inputs.models]
    if len(tensors) == 1:
        return tensors[0]
    vectors = torch.stack(tensors)
    if base is not None:
        vectors -= base
    vectors = vectors.view(len(tensors), -1)
    weights = torch.tensor(inputs.of_each("weight"), dtype=vectors.dtype, device=vectors.device)
    if inputs.values["normalize_weights"]:
        if weights.sum() == 0:
            raise bad(inputs.name, "the weights sum to 0", "Change a weight.")
        weights = weights / weights.sum()
    shares = weights.view(-1, 1)
    lengths = torch.norm(vectors, dim=-1, keepdim=True)
    units = torch.where(lengths > 0, vectors / (lengths + eps), 0)
    mean = (units * shares).sum(0)
    length = torch.norm(mean)
    if length > 0 and length >= eps:
        found = _mean(units, shares, mean / length, eps) * (lengths * shares).sum()
    elif len(tensors) == 2:
        found = vectors[0] * weights[0] + vectors[1] * weights[1]
    elif not lengths.any():
        found = torch.zeros_like(mean)
    else:
        what = "the weighted directions of the models cancel, so they have no mean"
        raise bad(inputs.name, what, "Change a weight.")
    found = found.view(shape)
    return found if base is None else found + base


def _mean(units: Tensor, shares: Tensor, middle: Tensor, eps: float) -> Tensor:
    """The mean of unit vectors [n, k], one step from their middle [k]."""
    import torch

    across = units - (units * middle).sum(-1, keepdim=True) * middle
    step = (across * shares).sum(0)
    length = torch.norm(step) + eps
    curve = torch.where(length > 0, torch.sin(length) / length, 1)
    return middle * torch.cos(length) + step * curve
