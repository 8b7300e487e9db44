from __future__ import annotations

import copy

import pytest
import torch

from engine.decoding import batch as batch_module
from engine.decoding.divergence import kl_to
from engine.decoding.fusion import Mixture, combine
from engine.decoding.inputs import Bucket
from engine.decoding.teacher_forced import choice_log_probs, log_probs
from engine.errors import BadInput, Cancelled

BUCKETS = (Bucket(), Bucket(1, 1), Bucket(7, 5))


@pytest.fixture
def fused(tiny, runs):
    mixture = Mixture(("t", "a", "b"), (1.0, 0.8, -0.8))
    return runs((tiny("llama", 1), tiny("llama", 2), tiny("qwen2", 3)), mixture, 120, 128)


@pytest.fixture
def pairs(prompts):
    """Contexts and continuations of 1 to 30 tokens within the 120 ids that can be said."""
    source = torch.Generator().manual_seed(8)
    lengths = torch.randint(1, 31, (len(prompts),), generator=source).tolist()
    return prompts, [torch.randint(3, 120, (n,), generator=source).tolist() for n in lengths]


def plain(model, context, continuation):
    """Log-probabilities [len(continuation), vocabulary] by one forward over the whole text."""
    ids = torch.tensor([[*context, *continuation]])
    raw = [module(input_ids=ids).logits.float()[..., : model.rows] for module in model.modules]
    whole = combine(model.mixture, raw) if model.mixture else raw[0]
    if model.mixture and model.vocabulary:
        whole[..., model.vocabulary :] = -torch.inf
    return whole[0, len(context) - 1 : -1].log_softmax(-1)


def test_reference_logits(golden, golden_models, runs):
    data = golden("teacher_forced_logits")
    ids = data["text"].tolist()
    for name, model in golden_models.items():
        want = torch.tensor(data[f"logits_{name}"])
        assert (model(torch.tensor(ids)).logits - want).abs().max() < 3e-5
        found = log_probs(runs((model,)), [row[:6] for row in ids], [row[6:] for row in ids])
        for row, each in enumerate(found):
            after = want[row, 5:19].log_softmax(-1)
            picked = after.gather(-1, torch.tensor(ids[row][6:])[:, None])[:, 0]
            assert (each - picked).abs().max() < 3e-5


@pytest.mark.parametrize("bucket", BUCKETS)
def test_log_probs_are_those_of_a_plain_forward(fused, pairs, bucket):
    found = log_probs(fused, *pairs, bucket=bucket)
    for each, context, more in zip(found, *pairs, strict=True):
        want = plain(fused, context, more).gather(-1, torch.tensor(more)[:, None])[:, 0]
        assert each.shape == (len(more),) and each.dtype == torch.float32
        assert torch.allclose(each, want, atol=5e-5, rtol=0)


def test_chunks_change_nothing(fused, pairs, monkeypatch):
    whole = log_probs(fused, *pairs)
    for tokens, values in ((64 * 5, 1 << 27), (2048, 64 * 128 * 3), (64 * 50, 64 * 128 * 4)):
        monkeypatch.setattr(batch_module, "PREFILL_TOKENS", tokens)
        monkeypatch.setattr(batch_module, "SCORED_VALUES", values)
        for each, want in zip(log_probs(fused, *pairs), whole, strict=True):
            assert torch.allclose(each, want, atol=5e-5, rtol=0)


def test_ids_outside_of_the_vocabulary_have_no_probability(fused):
    assert log_probs(fused, [[3, 4]], [[125]])[0].tolist() == [-torch.inf]


def test_empty_continuations_and_contexts(fused):
    found = log_probs(fused, [[3, 4], [5]], [[], [6]])
    assert [len(each) for each in found] == [0, 1]
    with pytest.raises(BadInput, match="prompt 1: it has no tokens"):
        log_probs(fused, [[3], []], [[4], [5]])
    with pytest.raises(BadInput, match="128 positions"):
        log_probs(fused, [[3] * 100], [[4] * 29])
    with pytest.raises(ValueError, match="1 contexts"):
        log_probs(fused, [[3]], [])


@pytest.mark.parametrize("bucket", BUCKETS)
def test_choices_are_scored_as_whole_texts_are(fused, prompts, bucket):
    source = torch.Generator().manual_seed(2)
    choices = [
        [
            torch.randint(3, 120, (int(n),), generator=source).tolist()
            for n in torch.randint(1, 6, (1 + index % 5,), generator=source)
        ]
        for index in range(len(prompts))
    ]
    choices[3] = [[5], [6]]
    choices[4] = []
    found = choice_log_probs(fused, prompts, choices, bucket=bucket)
    for prompt, given, each in zip(prompts, choices, found, strict=True):
        want = log_probs(fused, [prompt] * len(given), given)
        assert len(each) == len(given)
        for a, b in zip(each, want, strict=True):
            assert torch.allclose(a, b, atol=5e-5, rtol=0)


@pytest.mark.parametrize("kind", ["mistral", "gemma2", "gpt2"])
def test_choices_of_other_architectures(tiny, runs, prompts, kind):
    model = runs((tiny(kind, 1),))
    choices = [[[5, 6, 7], [8], [9, 10]]] * 10
    found = choice_log_probs(model, prompts[:10], choices)
    for prompt, given, each in zip(prompts, choices, found, strict=False):
        for choice, values in zip(given, each, strict=True):
            want = plain(model, prompt, choice).gather(-1, torch.tensor(choice)[:, None])[:, 0]
            assert torch.allclose(values, want, atol=5e-5, rtol=0)


def test_a_prompt_is_read_once_for_its_choices(fused, prompts):
    calls = 0

    def tick() -> None:
        nonlocal calls
        calls += 1

    choice_log_probs(fused, [prompts[0]], [[[5, 6], [7, 8, 9], [4]]], tick=tick)
    assert calls == 3 * 2


@pytest.mark.parametrize("bucket", BUCKETS)
def test_kl_is_the_formula(fused, tiny, runs, pairs, bucket):
    base = runs((tiny("llama", 2),))
    found = kl_to(fused, base, *pairs, bucket=bucket)
    for each, context, more in zip(found, *pairs, strict=True):
        p = plain(fused, context, more)[:, :120].double().log_softmax(-1)
        q = plain(base, context, more)[:, :120].double().log_softmax(-1)
        want = (p.exp() * (p - q)).sum(-1)
        assert each.shape == (len(more),)
        assert torch.allclose(each.double(), want, atol=1e-4, rtol=1e-4)
        assert (each >= 0).all()


def test_kl_of_a_model_to_itself_is_zero(fused, pairs):
    assert all(each.abs().max() == 0.0 for each in kl_to(fused, fused, *pairs))


def test_kl_of_a_16_bit_model_steered_by_nothing_is_zero(tiny, runs, pairs):
    module = copy.deepcopy(tiny("llama", 1)).bfloat16()
    steered = runs((module,), Mixture(("t",), (1.0,)))
    assert all(each.abs().max() == 0.0 for each in kl_to(steered, runs((module,)), *pairs))


def test_kl_between_models_of_other_sizes(tiny, runs, pairs, monkeypatch):
    wide = runs((tiny("llama", 5, vocab_size=136),))
    fused = runs((tiny("llama", 1), wide.modules[0]), Mixture(("a", "b"), (0.5, 0.5)), 120, 128)
    want = kl_to(fused, wide, *pairs)
    assert all(each.isfinite().all() and (each > 0).all() for each in want)
    monkeypatch.setattr(batch_module, "SCORED_VALUES", 64 * 132 * 3)
    for each, whole in zip(kl_to(fused, wide, *pairs), want, strict=True):
        assert torch.allclose(each, whole, atol=1e-4, rtol=1e-4)


def test_cancelling(fused, pairs):
    def tick() -> None:
        raise Cancelled("stop")

    for call in (log_probs, choice_log_probs):
        more = pairs[1] if call is log_probs else [[each] for each in pairs[1]]
        with pytest.raises(Cancelled):
            call(fused, pairs[0], more, tick=tick)
    with pytest.raises(Cancelled):
        kl_to(fused, fused, *pairs, tick=tick)
