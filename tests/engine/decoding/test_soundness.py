"""A model whose numbers overflow has no score, and says where; a sound one of any class has."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
from torch import nn
from torch.nn import functional

from engine.decoding import watching
from engine.decoding.divergence import kl_to
from engine.decoding.fusion import Mixture
from engine.decoding.inputs import no_tick
from engine.decoding.loop import generate
from engine.decoding.soundness import Unsound, alike, check_sound
from engine.decoding.teacher_forced import choice_log_probs, log_probs
from engine.family.tiny_model import tiny_model
from tests.differential.classes import build, every_class

TEXTS = [list(range(20, 20 + length)) for length in (3, 9, 12, 17)]

SAMPLE = (
    "llama", "gpt2", "gemma2", "qwen3", "mamba", "jamba", "deepseek_v3", "olmoe", "bart", "rwkv",
    "qwen3_next", "gpt_oss", "minimax",
)  # fmt: skip
"""Classes that stand for many: each kind of norm, of attention, of memory, of experts."""


@functools.cache
def model_of(kind: str):
    return tiny_model({"model_type": kind})


def scaled(kind: str, factor: float, *names: str):
    """A model with the matrices whose names hold one of `names` times a factor."""
    module = copy.deepcopy(model_of(kind))
    with torch.no_grad():
        for name, each in module.named_parameters():
            if each.dim() > 1 and any(part in name for part in names):
                each.mul_(factor)
    return module


@pytest.mark.parametrize("kind", SAMPLE)
@pytest.mark.filterwarnings("ignore")
def test_no_operation_of_a_sound_model_is_accused(kind) -> None:
    module = build(every_class()[kind])
    largest = watching._Largest()
    with torch.no_grad(), largest:
        module(input_ids=torch.tensor([TEXTS[3], TEXTS[3][::-1]]), use_cache=False)
    assert largest.largest < watching.NEAR


def test_a_sound_model_and_a_sound_mixture_pass(runs) -> None:
    modules = (model_of("llama"), model_of("qwen3"))
    ticks: list[None] = []
    for model in (runs(modules[:1]), runs(modules, Mixture(("a", "b"), (2.0, -1.0)), rows=96)):
        assert not check_sound(model, TEXTS, lambda: ticks.append(None))
    assert len(ticks) == 1 + 2  # each module was looked at


@pytest.mark.parametrize(
    ("kind", "factor", "names", "where"),
    [
        # 1 / √∞ in a layer, which the residual stream hides: logits stay finite and differ
        ("qwen3", 1e22, ("layers.1.self_attn.q_proj",), "layers.1.self_attn.q_norm (pow"),
        ("llama", 1e20, ("layers.0.mlp.down_proj",), "layers.1.input_layernorm (pow"),
        ("llama", 1e20, ("embed_tokens",), "layers.0.input_layernorm (pow"),
        ("gpt2", 1e24, ("wte",), "h.0.ln_1 (native_layer_norm"),
        ("llama", 1e30, ("layers.1.mlp",), "layers.1.mlp (mul"),
        ("llama", 1e25, ("layers.1.self_attn.q_proj", "layers.1.self_attn.k_proj"), "self_attn ("),
        ("gemma2", 1e20, ("layers.1.mlp.down_proj",), "layers.1.post_feedforward_layernorm (pow"),
    ],
)
def test_an_overflow_is_refused_with_its_place(runs, kind, factor, names, where) -> None:
    with pytest.raises(Unsound) as error:
        check_sound(runs((scaled(kind, factor, *names),)), TEXTS, no_tick)
    assert where in str(error.value) and str(error.value).startswith("the numbers of the model")


def test_of_a_mixture_the_model_is_named(runs) -> None:
    modules = (model_of("llama"), scaled("llama", 1e20, "embed_tokens"))
    model = runs(modules, Mixture(("base", "safe"), (0.5, 0.5)), rows=96)
    with pytest.raises(Unsound, match=r"the numbers of safe overflow in model\.layers\.0"):
        check_sound(model, TEXTS, no_tick)


class Odd(nn.Module):
    """Operations that overflow on the way to what is right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = 1 / (1 + torch.exp(-1000 * x.abs()))
        worse = 1 / (1 + torch.exp(1000 * x.abs()))
        masked = torch.where(x > 1e9, torch.exp(x * 1e5), x)
        return gate + worse + masked.masked_fill(x > 1e9, -torch.inf).amax(-1, keepdim=True)


def test_an_exponential_that_is_undone_is_no_fault() -> None:
    x = torch.ones(2, 3)
    largest = watching._Largest()
    with torch.no_grad(), largest:
        Odd()(x)
    assert largest.largest == torch.inf
    with watching.ModuleTracker() as tracker:
        fault = watching._Fault(tracker)
        with torch.no_grad(), fault:
            Odd()(x)
    assert fault.found is None
    with watching.ModuleTracker() as tracker:
        fault = watching._Fault(tracker)
        with torch.no_grad(), fault:
            functional.rms_norm(1e25 * x, (3,))
    assert fault.found is not None


def count_alike(logits: torch.Tensor, limit: int | None = None) -> int:
    found = alike(logits, limit)
    return 0 if found is None else int(found.sum())


def test_logits_that_are_alike() -> None:
    logits = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
    assert count_alike(logits) == 0
    assert count_alike(torch.full((2, 1000), 3.0)) == 2
    capped = 30 * torch.tanh(1e6 * logits / 30)  # a soft cap that saturates: half are 30
    assert count_alike(capped) == 4
    few = logits.clone()
    few[:, :100] = 9.0  # a tenth of the ids
    assert count_alike(few) == 0
    few[1:, ::3] = 9.0
    assert count_alike(few) == 3
    masked = logits.clone()
    masked[:, 900:] = -torch.inf
    assert count_alike(masked) == count_alike(masked, 900) == 0
    constant = torch.zeros(1, 1000)
    constant[:, 900:] = -torch.inf
    assert count_alike(constant, 900) == 1
    assert count_alike(torch.tensor([[1.0, 1.0, 0.0]])) == 0  # two of three are a tie
    assert count_alike(torch.tensor([[1.0, 1.0]])) == 1
    assert count_alike(torch.tensor([[1.0]])) == 0
    numbers_only = logits.clone()
    numbers_only[0, 3] = torch.nan  # that they are no numbers is told elsewhere
    assert count_alike(numbers_only) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_logits_that_say_nothing_are_not_read(runs, dtype) -> None:
    dead = runs((scaled("llama", 0.0, "lm_head").to(dtype),))
    sound = runs((copy.deepcopy(model_of("llama")).to(dtype),))
    asks = (
        lambda: generate(dead, TEXTS, max_new_tokens=2, end_ids=frozenset()),
        lambda: log_probs(dead, TEXTS, TEXTS),
        lambda: choice_log_probs(dead, TEXTS, [TEXTS[:2]] * len(TEXTS)),
        lambda: kl_to(dead, sound, TEXTS, TEXTS),
        lambda: kl_to(sound, dead, TEXTS, TEXTS),
    )
    for ask in asks:
        with pytest.raises(Unsound, match="share the largest logit"):
            ask()
    check_sound(dead, TEXTS, no_tick)  # no operation overflows


def test_an_infinite_logit_is_not_read(runs) -> None:
    """Of one id in a late row, which neither text nor choice asks for."""
    broken = scaled("llama", 1.0, "lm_head")
    sound = runs((model_of("llama"),))

    def spoil(module, given, out):
        out.logits[-1, ..., 7] = torch.inf
        return out

    broken.register_forward_hook(spoil)
    model = runs((broken,))
    asks = (
        lambda: log_probs(model, TEXTS, TEXTS),
        lambda: choice_log_probs(model, TEXTS, [TEXTS[:2]] * len(TEXTS)),
        lambda: kl_to(model, sound, TEXTS, TEXTS),
        lambda: generate(model, TEXTS, max_new_tokens=2, end_ids=frozenset()),
    )
    for ask in asks:
        with pytest.raises(Unsound, match="not finite"):
            ask()


def test_padding_is_not_looked_at(runs) -> None:
    model = runs((model_of("llama"),))
    short = [[20], list(range(20, 40))]
    assert len(log_probs(model, short, [[21], list(range(30, 45))])) == 2
