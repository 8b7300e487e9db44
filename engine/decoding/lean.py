"""One step of a plain decoder without its modules: the same operations in the same order.

A forward of transformers spends half of a small model's step outside of its operations: in module
calls, decorators, masks made anew. Here a step of one column goes through the weights directly:

    x ─► norm ─► q k v ─► rotate ─► cache ─► attention ─► o ─► + x ─► norm ─► gate, up, down ─► + x

Each number is the module's own, bit for bit, so that nothing else may know which of them ran. That
holds for the classes below, whose layers are plain; any other runs as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.family.products import PLAIN, Linear, linear

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CLASSES = frozenset(
    ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
)
"""Classes of transformers whose layers are the ones drawn above."""

_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
_INNER = ("gate_proj", "up_proj", "down_proj")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class _Norm:
    weight: Tensor
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        wide = x.float()
        scale = wide.pow(2).mean(-1, keepdim=True).add_(self.epsilon).rsqrt_()
        return (wide * scale).to(x.dtype).mul_(self.weight)


@dataclass(frozen=True)
class _Map:
    weight: Tensor
    bias: Tensor | None
    product: Callable[[Tensor, Tensor, Tensor | None], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        return self.product(x, self.weight, self.bias)


@dataclass(frozen=True)
class _Layer:
    """A layer's weights, and its attention module for what transformers' attention asks of it."""

    attention: Any
    before: _Norm
    q: _Map
    k: _Map
    v: _Map
    o: _Map
    norms: tuple[_Norm, _Norm] | None
    after: _Norm
    gate: _Map
    up: _Map
    down: _Map


class Lean:
    """A module's step over its growing cache.

    Args:
        module: of one of `CLASSES`, see `lean_of`.
    """

    def __init__(self, module: PreTrainedModel) -> None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        inner: Any = module.base_model
        self._attend = sdpa_attention_forward
        self._head = module.get_output_embeddings()
        self._embedding: Tensor = inner.embed_tokens.weight
        self._rotary = inner.rotary_emb
        self._norm = _norm(inner.norm)
        self._act = inner.layers[0].mlp.act_fn
        self._layers = [_layer(each) for each in inner.layers]

    def __call__(self, ids: Tensor, positions: Tensor, mask: Tensor | None, cache: Any) -> Tensor:
        """Logits [rows, 1, vocabulary], as the module returns them.

        Args:
            ids, positions: int64 [rows, 1].
            mask: bool [rows, 1, 1, columns], these included; None where there is no padding.
            cache: transformers' cache of growing layers; gets a column.
        """
        x = functional.embedding(ids[:, 0], self._embedding)
        cos, sin = self._rotary(x, position_ids=positions)
        half = cos.shape[-1] // 2
        turned = torch.cat((-sin[..., :half], sin[..., half:]), -1)
        for layer, kept in zip(self._layers, cache.layers, strict=True):
            size = layer.attention.head_dim
            y = layer.before(x)
            q, k = (each(y).view(len(x), -1, size) for each in (layer.q, layer.k))
            value = layer.v(y).view(len(x), -1, 1, size)
            if layer.norms is not None:
                q, k = layer.norms[0](q), layer.norms[1](k)
            heads = q.shape[1]
            both = torch.cat((q, k), 1)
            other = torch.cat((both[..., half:], both[..., :half]), -1)
            both = (both * cos).add_(other.mul_(turned))
            keys, values = kept.update(both[:, heads:, None], value)
            y, _ = self._attend(
                layer.attention, both[:, :heads, None], keys, values, mask,
                scaling=layer.attention.scaling,
            )  # fmt: skip
            x = layer.o(y.reshape(len(x), -1)).add_(x)
            y = layer.after(x)
            y = self._act(layer.gate(y)).mul_(layer.up(y))
            x = layer.down(y).add_(x)
        logits: Tensor = self._head(self._norm(x)[:, None])
        return logits


def lean_of(module: PreTrainedModel) -> Lean | None:
    """A module's lean step; None where its class is another, or a layer of it is not as it was."""
    if type(module).__name__ not in CLASSES or not type(module).__module__.startswith(
        "transformers."
    ):
        return None
    head = module.get_output_embeddings()
    if not all(each is head or _untouched(each) for each in module.modules()):
        return None  # the head is called as it is
    inner: Any = module.base_model
    whole = 2 * len(inner.rotary_emb.inv_freq) == inner.layers[0].self_attn.head_dim
    return Lean(module) if whole and module.config._attn_implementation == "sdpa" else None


def _untouched(module: nn.Module) -> bool:
    """Whether a module runs as its class says: no adapter in its place, no hook."""
    kind = type(module)
    plain = kind in (*PLAIN, nn.Embedding) or kind.__module__.startswith(
        ("transformers.", "torch.")
    )
    return plain and "forward" not in vars(module) and not any(_hooks(module))


def _hooks(module: nn.Module) -> Iterator[Any]:
    return (getattr(module, each) for each in _HOOKS)


def _norm(module: Any) -> _Norm:
    return _Norm(module.weight, module.variance_epsilon)


def _layer(module: Any) -> _Layer:
    attention, inner = module.self_attn, module.mlp
    q, k, v, o = (_map(getattr(attention, each)) for each in _PROJECTIONS)
    gate, up, down = (_map(getattr(inner, each)) for each in _INNER)
    norms = None
    if hasattr(attention, "q_norm"):
        norms = _norm(attention.q_norm), _norm(attention.k_norm)
    before, after = _norm(module.input_layernorm), _norm(module.post_attention_layernorm)
    return _Layer(attention, before, q, k, v, o, norms, after, gate, up, down)


def _map(module: Any) -> _Map:
    product = linear if type(module) is Linear else functional.linear
    return _Map(module.weight, module.bias, product)
