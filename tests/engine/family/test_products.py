"""Large float32 products on a CPU come from oneDNN, and are the same but for rounding."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from engine.decoding.lean import lean_of
from engine.decoding.stage import Stage
from engine.family import products
from engine.family.checkpoint import open_checkpoint
from engine.family.loading import load_module


def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the weights that oneDNN is given from here on."""
    found: list[tuple[int, ...]] = []
    own = products._by_onednn

    def heard(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        found.append(tuple(weight.shape))
        return own(x, weight, bias)

    monkeypatch.setattr(products, "_by_onednn", heard)
    return found


@pytest.mark.parametrize(
    ("rows", "outputs", "width", "large"),
    [
        ((1,), 700, 400, True), ((3, 50), 96, 96, True), ((8,), 512, 192, False),
        ((40,), 511, 193, True), ((0,), 600, 500, True), ((2,), 16, 16, False),
    ],
)  # fmt: skip
@torch.no_grad()
def test_a_product_is_torch_s_but_for_rounding(
    rows: tuple[int, ...], outputs: int, width: int, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = asked(monkeypatch)
    torch.manual_seed(1)
    x, weight, bias = torch.randn(*rows, width), torch.randn(outputs, width), torch.randn(outputs)
    for each in (bias, None):
        found = products.linear(x, weight, each)
        wanted = functional.linear(
            x.double(), weight.double(), None if each is None else each.double()
        )
        torch.testing.assert_close(found, wanted.float(), rtol=1e-5, atol=1e-4)
        turned = products.linear(x, weight.t().contiguous().t(), each)
        torch.testing.assert_close(turned, wanted.float(), rtol=1e-5, atol=1e-4)
    assert shapes == [(outputs, width)] * (4 * large)


@torch.no_grad()
def test_rows_of_a_product_do_not_depend_on_their_number() -> None:
    torch.manual_seed(2)
    x, weight = torch.randn(96, 640), torch.randn(520, 640)
    whole = products.linear(x, weight, None)
    for rows in (2, 5, 17, 64):
        assert torch.equal(products.linear(x[:rows], weight, None), whole[:rows])


def test_gradients_and_sixteen_bits_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = asked(monkeypatch)
    layer = nn.Linear(640, 640)
    products.quicken(layer)
    layer(torch.randn(4, 640)).sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0
    half, x = copy.deepcopy(layer).bfloat16(), torch.randn(4, 640, dtype=torch.bfloat16)
    with torch.no_grad():
        assert torch.equal(half(x), functional.linear(x, half.weight, half.bias))
    assert shapes == []


def test_a_loaded_model_multiplies_so_and_its_lean_step_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=131, hidden_size=48, intermediate_size=80, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, attention_bias=True,
        tie_word_embeddings=False,
    )  # fmt: skip
    plain = LlamaForCausalLM(config).eval()
    plain.save_pretrained(tmp_path)
    module, _ = load_module(open_checkpoint(tmp_path, "base"), "cpu", torch.float32)
    monkeypatch.setattr(products, "LARGE_WEIGHT", 0)
    shapes = asked(monkeypatch)
    ids, places = torch.randint(3, 131, (5, 6)), torch.arange(7)[None].expand(5, -1)
    assert lean_of(module) is not None
    stages = [Stage(each, widen=False) for each in (module, module, plain)]
    with torch.inference_mode():
        for each in stages:
            each.run(ids, None, places[:, :6], 1)
        more, last = ids[:, :1], places[:, 6:]
        shapes.clear()
        lean = stages[0].run(more, None, places, 1)
        assert len(shapes) == 2 * 7 + 1
        own = module(input_ids=more, position_ids=last, past_key_values=stages[1].state).logits
        assert len(shapes) == 2 * (2 * 7 + 1) and torch.equal(lean, own)
        torch.testing.assert_close(lean, stages[2].run(more, None, places, 1))
        assert len(shapes) == 2 * (2 * 7 + 1)
