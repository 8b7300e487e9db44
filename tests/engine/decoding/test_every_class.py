"""Texts and probabilities of classes whose memory is not attention, against the plain module.

What is right is the module reading every text whole, one row, without a cache.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from engine.decoding import batch as batch_module
from engine.decoding.divergence import kl_to
from engine.decoding.feeding import PLAIN
from engine.decoding.fusion import Mixture
from engine.decoding.inputs import Bucket
from engine.decoding.loop import generate
from engine.decoding.teacher_forced import choice_log_probs, log_probs
from engine.decoding.trial import tried
from engine.family.tiny_model import tiny_model

CLASSES = {
    "jamba": {},
    "mamba": {},
    "rwkv": {},
    "recurrent_gemma": {},
    "minimax": {},
    "falcon": {"alibi": True, "new_decoder_architecture": False},
    "gemma4_text": {},
    "lfm2": {},
    "falcon_h1": {},
    "bamba": {"attn_layer_indices": [1], "num_hidden_layers": 3},
    "phi3": {
        "max_position_embeddings": 256,
        "original_max_position_embeddings": 24,
        "rope_scaling": {
            "type": "longrope", "short_factor": [1.0] * 48, "long_factor": [4.0] * 48,
        },
    },
}  # fmt: skip
"""Model type -> what its configuration says beside its defaults."""

TIE = 1e-3


@functools.cache
def model_of(kind: str, seed: int = 0):
    return tiny_model({"model_type": kind, **CLASSES[kind]}, seed=seed)


@pytest.fixture(params=CLASSES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def texts() -> list[list[int]]:
    """Prompts of one token and of more than a window, several of one length."""
    source = torch.Generator().manual_seed(4)
    lengths = (1, 3, 7, 7, 12, 12, 12, 19)
    return [torch.randint(3, 60, (length,), generator=source).tolist() for length in lengths]


@torch.inference_mode()
def whole(module, ids: Sequence[int]) -> Tensor:
    return module(torch.tensor([list(ids)]), use_cache=False).logits[0].float()


def agrees(score, prompt: Sequence[int], found: Sequence[int], ends: frozenset[int]) -> bool:
    """Whether a text is what argmax picks step by step, or parts from it at a tie."""
    ids = list(prompt)
    for token in (*found, None):
        last = score(ids)[-1]
        best, second = last.topk(2).values.tolist()
        chosen = int(last.argmax())
        if token is None:
            return len(found) == NEW or chosen in ends or best - second < TIE
        if token != chosen:
            return best - second < TIE
        ids.append(token)
    return True


NEW = 8
ENDS = frozenset(range(1, 96, 5))


def test_texts_are_those_of_the_module_alone(runs, kind, texts):
    module = model_of(kind)
    found = generate(runs((module,)), texts, max_new_tokens=NEW, end_ids=ENDS)
    assert len({len(each.token_ids) for each in found}) > 1  # rows leave at different steps
    for prompt, each in zip(texts, found, strict=True):
        assert agrees(functools.partial(whole, module), prompt, each.token_ids, ENDS)


def test_probabilities_are_those_of_the_module_alone(runs, kind, texts, monkeypatch):
    monkeypatch.setattr(batch_module, "PREFILL_TOKENS", 32)  # prompts are read in chunks
    module = model_of(kind)
    model = runs((module,))
    contexts, more = texts, [text[::-1][:5] for text in texts]

    def right(module, context, continuation):
        logs = whole(module, [*context, *continuation])[len(context) - 1 : -1].log_softmax(-1)
        return logs.gather(1, torch.tensor(continuation)[:, None])[:, 0], logs

    for context, ids, found in zip(contexts, more, log_probs(model, contexts, more), strict=True):
        torch.testing.assert_close(found, right(module, context, ids)[0], atol=2e-4, rtol=0)
    options = [[ids, ids[:1], [*ids, 5, 6]] for ids in more]
    for context, each, found in zip(
        contexts, options, choice_log_probs(model, contexts, options), strict=True
    ):
        for ids, values in zip(each, found, strict=True):
            torch.testing.assert_close(values, right(module, context, ids)[0], atol=2e-4, rtol=0)
    other = model_of(kind, 1)
    for context, ids, found in zip(
        contexts, more, kl_to(model, runs((other,)), contexts, more), strict=True
    ):
        p, q = (right(each, context, ids)[1] for each in (module, other))
        torch.testing.assert_close(found, (p.exp() * (p - q)).sum(-1), atol=1e-3, rtol=1e-3)


def test_a_class_fuses_with_one_that_is_fed_otherwise(runs, texts):
    modules = (model_of("jamba"), model_of("rwkv"), tiny_model({"model_type": "llama"}, seed=3))
    model = runs(modules, Mixture(("a", "b", "c"), (0.5, 0.2, 0.3)), vocabulary=90, rows=96)

    def score(ids: Sequence[int]) -> Tensor:
        logits = sum(w * whole(each, ids) for w, each in zip((0.5, 0.2, 0.3), modules, strict=True))
        logits[:, 90:] = -torch.inf
        return logits

    found = generate(model, texts, max_new_tokens=NEW, end_ids=ENDS)
    for prompt, each in zip(texts, found, strict=True):
        assert agrees(score, prompt, each.token_ids, ENDS)


def test_a_recurrence_that_reads_padding_is_not_padded():
    assert tried({"model_type": "jamba"}).rows == "equal"
    assert not tried({"model_type": "jamba"}).chunks
    assert tried({"model_type": "recurrent_gemma"}).memory == "none"
    assert tried({"model_type": "mamba"}).argument == "cache_params"
    assert tried({"model_type": "llama"}) == PLAIN


def test_batches_of_one_length():
    bucket = Bucket(2, 1, equal=True)
    assert bucket.batches([5, 3, 5, 5, 3]) == [[1, 4], [0, 2], [3]]
    assert bucket.batches([9, 9, 8], [5, 4, 5]) == [[1], [2, 0]]
    assert Bucket(4, 16, horizon=40).batches([8, 9, 30]) == [[0, 1], [2]]
