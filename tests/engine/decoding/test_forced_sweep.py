"""Many mixtures read from one pass of their models are what each is by itself."""

from __future__ import annotations

import pytest
import torch

from engine.decoding import forced_sweep
from engine.decoding.arm_guidance import arm_guidance
from engine.decoding.forced_sweep import Linear, OneByOne, reader_of
from engine.decoding.fusion import Mixture, mix
from engine.decoding.inputs import Bucket, no_tick
from engine.decoding.logit_fusion import logit_fusion
from engine.decoding.proxy_tuning import proxy_tuning
from engine.decoding.soundness import Unsound
from engine.decoding.teacher_forced import (
    choice_log_probs,
    log_probs,
    swept_choice_log_probs,
    swept_log_probs,
)
from engine.errors import Cancelled
from engine.method import Names

NAMES = Names(experts=("a", "b"), has_target=True)
COEFFICIENTS = [(0.7, 0.4), (0.0, 1.3), (2.0, 1.9), (1.0, 0.0), (0.03, 0.9), (0.0, 0.0)]
BUCKETS = (Bucket(), Bucket(5, 3))


def mixtures_of(method: str) -> list[Mixture]:
    given = [{"a": a, "b": b} for a, b in COEFFICIENTS]
    if method == "proxy_tuning":
        return [proxy_tuning(each, NAMES) for each in given]
    if method == "arm_guidance":
        return [arm_guidance(each, NAMES, on="target") for each in given]
    kind = "reverse_kl" if method == "logit_fusion" else "forward_kl"
    return [logit_fusion({"base": 0.2, **each}, NAMES, kind=kind) for each in given]  # type: ignore[arg-type]


@pytest.fixture(params=["proxy_tuning", "arm_guidance", "logit_fusion", "forward_kl"])
def group(request, tiny, runs):
    """The models of a method's first mixture, whose logits have rows to spare; all mixtures."""
    every = {
        name: tiny(kind, seed)
        for name, kind, seed in (
            ("target", "llama", 1), ("base", "llama", 2), ("a", "qwen2", 3), ("b", "gpt2", 4),
        )
    }  # fmt: skip

    def single(mixture):
        return runs(tuple(every[name] for name in mixture.models), mixture, 120, 124)

    mixtures = mixtures_of(request.param)
    return single(mixtures[0]), mixtures, single


@pytest.fixture
def pairs(prompts):
    """20 contexts of mixed lengths and continuations of 0 to 12 tokens."""
    source = torch.Generator().manual_seed(8)
    lengths = [0, *torch.randint(1, 13, (19,), generator=source).tolist()]
    chosen = prompts[::3][:20]
    return chosen, [torch.randint(3, 120, (n,), generator=source).tolist() for n in lengths]


@pytest.fixture
def choices(pairs):
    """A row's choices: one token each, several, of different lengths, none."""
    source = torch.Generator().manual_seed(9)
    counts = [(1, 1, 1), (2, 1), (4, 3, 1, 2), ()] * 5
    return [
        [torch.randint(3, 120, (n,), generator=source).tolist() for n in each] for each in counts
    ]


def plainly(model):
    """Combined and normalised as any mixture is, not by machine code."""
    return OneByOne(model, [model.mixture])


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_swept_mixture_is_what_it_is_alone(group, pairs, choices, bucket):
    model, mixtures, single = group
    reader = reader_of(model, mixtures, no_tick)
    assert isinstance(reader, Linear) == (mixtures[0].kind == "linear")
    found = swept_log_probs(model, reader, *pairs, bucket=bucket)
    chosen = swept_choice_log_probs(model, reader, pairs[0], choices, bucket=bucket)
    for place, mixture in enumerate(mixtures):
        alone = single(mixture)
        for each, want in zip(found, log_probs(alone, *pairs, bucket=bucket), strict=True):
            assert torch.equal(each[place], want)
        for row, wants in zip(
            chosen, choice_log_probs(alone, pairs[0], choices, bucket=bucket), strict=True
        ):
            assert all(torch.equal(a[place], b) for a, b in zip(row, wants, strict=True))


def test_it_is_what_combining_and_normalising_gives(group, pairs, choices):
    model, mixtures, single = group
    reader = reader_of(model, mixtures, no_tick)
    found = swept_log_probs(model, reader, *pairs)
    chosen = swept_choice_log_probs(model, reader, pairs[0], choices)
    for place, mixture in enumerate(mixtures):
        alone = single(mixture)
        plain = swept_log_probs(alone, plainly(alone), *pairs)
        compared(found, plain, place)
        plain_choices = swept_choice_log_probs(alone, plainly(alone), pairs[0], choices)
        compared(*([e for row in each for e in row] for each in (chosen, plain_choices)), place)


def compared(found, plain, place):
    for each, want in zip(found, plain, strict=True):
        assert torch.allclose(each[place], want[0], rtol=1e-6, atol=4e-6)
    sums = [
        float(torch.cat([e[n] for e in x]).double().mean()) for x, n in ((found, place), (plain, 0))
    ]
    assert sums[0] == pytest.approx(sums[1], rel=1e-6)


@pytest.mark.parametrize("tokens", [16, 17, 100, 1040, 5003])
def test_the_machine_code_is_the_formula(tokens):
    """Logits hundreds apart, so that a shift may be too low; ids beyond the vocabulary."""
    source = torch.Generator().manual_seed(tokens)
    parts = [torch.randn(3, 4, tokens + 5, generator=source) * scale for scale in (3, 100, 1)]
    for each in parts:
        each[..., tokens:] = 1e6
    weights = torch.randn(7, 3, generator=source)
    weights[2] = torch.tensor([1.0, 0.0, 0.0])
    mixtures = [Mixture(("a", "b", "c"), (1.0, 1.0, 1.0))] * 7
    reader = Linear(mixtures[0].passes, mixtures, tokens, no_tick)
    reader.weights = weights
    ids = torch.randint(0, tokens, (3, 4, 2), generator=source)
    ids[0, 0, 1] = tokens + 2
    wanted = torch.ones(3, 4, dtype=torch.bool)
    wanted[1, :2] = False
    found = reader.read([each.clone() for each in parts], ids, wanted).double()
    fused = torch.einsum("rm,mpcv->rpcv", weights.double(), torch.stack(parts).double())[
        ..., :tokens
    ]
    want = fused.log_softmax(-1).gather(-1, ids.clamp(max=tokens - 1).expand(7, -1, -1, -1))
    want[:, 0, 0, 1] = -torch.inf
    assert torch.allclose(found[:, wanted, 0], want[:, wanted, 0], rtol=3e-7, atol=1e-7)
    assert torch.allclose(found[:, wanted, 1], want[:, wanted, 1], rtol=3e-7, atol=3e-5)


@pytest.mark.parametrize("fault", ["position", "weights", "normaliser", "vocabulary"])
def test_a_planted_fault_is_noticed(group, pairs, choices, fault, monkeypatch):
    mixtures = group[1]
    if mixtures[0].kind != "linear":
        pytest.skip("read by the code that it is compared with")
    read, run = Linear.read, forced_sweep.sweep

    def planted(self, parts, ids, wanted, last=False):
        if fault == "position":
            parts = [each.roll(1, 1 if not last else 0) for each in parts]
        if fault == "weights":
            self.weights = self.weights.flip(0)
        if fault == "vocabulary":
            self._vocabulary = None
        return read(self, parts, ids, wanted, last)

    def shorter(models):
        code = run(models)
        return lambda first, end, tokens, *rest: code(first, end, tokens - 16, *rest)

    monkeypatch.setattr(Linear, "read", planted)
    if fault == "normaliser":
        monkeypatch.setattr(forced_sweep, "sweep", shorter)
    with pytest.raises(AssertionError):
        test_it_is_what_combining_and_normalising_gives(group, pairs, choices)


def test_logits_that_are_alike_or_not_finite_are_refused():
    mixtures = [mix([("a", 1.0)]), mix([("a", 0.5)])]
    reader = Linear(mixtures[0].passes, mixtures, None, no_tick)
    ids, wanted = torch.zeros(1, 2, 1, dtype=torch.int64), torch.tensor([[False, True]])
    logits = torch.randn(1, 2, 64, generator=torch.Generator().manual_seed(1))
    for value, at in ((torch.inf, 5), (torch.nan, 5)):
        wrong = logits.clone()
        wrong[0, 1, at] = value
        with pytest.raises(Unsound, match="not finite"):
            reader.read([wrong], ids, wanted)
        reader.read([wrong.flip(1)], ids, wanted)
    wrong = logits.clone()
    wrong[0, 1, :32] = 9.0
    with pytest.raises(Unsound, match="share the largest"):
        reader.read([wrong], ids, wanted)
    reader.read([wrong.flip(1)], ids, wanted)


def test_it_is_cancelled_between_two_quanta(group, pairs, monkeypatch):
    model, mixtures, _ = group
    if mixtures[0].kind != "linear":
        pytest.skip("ticks only where the models do")
    monkeypatch.setattr(forced_sweep, "QUANTUM", 1)
    ticks = 0

    def tick():
        nonlocal ticks
        ticks += 1
        if ticks > 3:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        swept_log_probs(model, reader_of(model, mixtures, tick), *pairs)
    assert ticks == 4
