from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from engine.decoding import projection
from engine.decoding.batch import Batch
from engine.decoding.fusion import Mixture
from engine.decoding.inputs import Bucket, no_tick
from engine.decoding.projection import float32_logits


def last(model, prompts):
    return list(Batch(model, prompts, Bucket(), no_tick).read())[-1][1]


def on_the_grid(logits: torch.Tensor) -> torch.Tensor:
    """Whether each value is one that bfloat16 can hold."""
    return logits == logits.bfloat16().float()


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma2"])
def test_fused_logits_are_not_rounded(tiny, runs, prompts, kind):
    module = copy.deepcopy(tiny(kind, 1)).bfloat16()
    some = prompts[:4]
    plain = last(runs((module,)), some)
    fused = last(runs((module,), Mixture(("a",), (1.0,)), None, None), some)
    assert plain.dtype == fused.dtype == torch.float32
    assert on_the_grid(plain).all()
    assert on_the_grid(fused).float().mean() < 0.05
    # the same numbers but for the rounding: half a step of bfloat16 is 2^-9 of the value
    assert torch.allclose(plain, fused, rtol=2**-7, atol=2**-7)


def test_float32_from_the_projection_on(tiny):
    module = copy.deepcopy(tiny("llama", 1)).bfloat16()
    ids = torch.tensor([[3, 4, 5]])
    hidden = module.model(input_ids=ids).last_hidden_state
    with float32_logits(module):
        logits = module(input_ids=ids).logits
    assert torch.equal(logits, hidden.float() @ module.lm_head.weight.float().T)


def test_the_module_is_left_as_it_was(tiny):
    module = copy.deepcopy(tiny("llama", 1)).bfloat16()
    with pytest.raises(RuntimeError, match="inside"), float32_logits(module):
        raise RuntimeError("inside")
    assert "forward" not in vars(module.lm_head)
    assert module(input_ids=torch.tensor([[3]])).logits.dtype == torch.bfloat16


def test_float32_modules_are_left_alone(tiny):
    module = tiny("llama", 1)
    with float32_logits(module):
        assert "forward" not in vars(module.lm_head)


def test_memory_that_runs_out_is_no_answer_to_what_a_device_can_do(monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    asked = torch.device("cpu"), torch.float64
    with monkeypatch.context() as within, pytest.raises(torch.OutOfMemoryError):
        within.setattr(torch, "mm", full)
        projection._multiplies_into_float32(*asked)
    monkeypatch.setattr(torch, "mm", lambda one, *_, **__: one.float())
    assert projection._multiplies_into_float32(*asked)
    projection._multiplies_into_float32.cache_clear()


class Adapted(nn.Module):
    """A head with a low-rank change beside it, as PEFT makes them."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.inner = inner
        self.down = nn.Parameter(torch.randn(2, inner.in_features, dtype=torch.bfloat16))
        self.up = nn.Parameter(torch.randn(inner.out_features, 2, dtype=torch.bfloat16))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.inner(hidden) + hidden @ self.down.T @ self.up.T


def test_a_head_with_an_adapter_keeps_it(tiny):
    module = copy.deepcopy(tiny("llama", 1)).bfloat16().requires_grad_(False)
    module.lm_head = Adapted(module.lm_head).requires_grad_(False)
    ids = torch.tensor([[3, 4, 5]])
    hidden = module.model(input_ids=ids).last_hidden_state.float()
    head = module.lm_head
    want = hidden @ head.inner.weight.float().T + hidden @ head.down.float().T @ head.up.float().T
    with float32_logits(module):
        for _ in range(2):
            assert torch.equal(module(input_ids=ids).logits, want)
    assert module(input_ids=ids).logits.dtype == torch.bfloat16
