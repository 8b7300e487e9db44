"""Modules that read prompts of their own: the same as running each by itself, step by step."""

from __future__ import annotations

import pytest
import torch

from engine.decoding import batch as batch_module
from engine.decoding import reading as reading_module
from engine.decoding.divergence import kl_to
from engine.decoding.fusion import Mixture, combine
from engine.decoding.inputs import Bucket
from engine.decoding.loop import Sampling, generate, steps
from engine.decoding.teacher_forced import choice_log_probs, log_probs
from engine.errors import BadInput
from engine.family.tiny_model import tiny_model

ENDS = frozenset(range(2, 120, 6))
NEW = 12


@pytest.fixture
def fused(tiny, runs):
    mixture = Mixture(("t", "a", "b"), (1.0, 0.8, -0.8))
    return runs((tiny("llama", 1), tiny("llama", 2), tiny("qwen2", 3)), mixture, 120, 128)


@pytest.fixture
def read(prompts):
    """What three modules read: the same rows, shorter and longer ones, other ids."""
    source = torch.Generator().manual_seed(9)

    def others(low: int, high: int) -> list[list[int]]:
        sizes = torch.randint(low, high, (24,), generator=source).tolist()
        return [torch.randint(3, 120, (n,), generator=source).tolist() for n in sizes]

    return prompts[:24], others(1, 60), others(30, 50)


def own_of(read):
    return {1: read[1], 2: read[2]}


def at(model, read, row, more):
    """Combined logits [columns, ids] where each token of `more` and the one after it is said."""
    logits = []
    for module, prompts in zip(model.modules, read, strict=True):
        ids = torch.tensor([[*prompts[row], *more]])
        logits.append(module(input_ids=ids).logits[0, len(prompts[row]) - 1 :].float())
    return combine(model.mixture, logits, model.vocabulary)


def alone(model, read, row) -> tuple[list[int], bool]:
    """The text by a plain loop that reads everything again at every step; whether it had a tie."""
    said: list[int] = []
    while len(said) < NEW:
        last = at(model, read, row, said)[-1]
        best = last.topk(2).values
        token = int(last.argmax())
        if best[0] - best[1] < 1e-4:
            return said, True
        if token in ENDS:
            break
        said.append(token)
    return said, False


@pytest.mark.parametrize("bucket", [Bucket(1, 1), Bucket(8), Bucket(64)])
def test_texts_are_those_of_models_run_one_by_one(fused, read, bucket):
    found = generate(
        fused, read[0], max_new_tokens=NEW, end_ids=ENDS, bucket=bucket, own=own_of(read)
    )
    assert len({len(each.token_ids) for each in found}) > 5  # rows leave at different steps
    for row, each in enumerate(found):
        want, tie = alone(fused, read, row)
        assert list(each.token_ids[: len(want)] if tie else each.token_ids) == want


def test_small_chunks_change_no_text(fused, read, monkeypatch):
    def texts():
        found = generate(fused, read[0], max_new_tokens=NEW, end_ids=ENDS, own=own_of(read))
        return [each.token_ids for each in found]

    whole = texts()
    monkeypatch.setattr(batch_module, "PREFILL_TOKENS", 24 * 3)
    monkeypatch.setattr(reading_module, "BLOCK", 1)
    assert texts() == whole


def test_modules_that_read_the_same_give_the_same_bits(fused, read):
    settings = {"max_new_tokens": NEW, "end_ids": ENDS, "sampling": Sampling(1.0, seed=3)}
    plain = generate(fused, read[0], **settings)
    assert plain == generate(fused, read[0], **settings, own={0: read[0], 2: list(read[0])})
    assert plain == generate(fused, [[0]] * 24, **settings, own=dict.fromkeys(range(3), read[0]))
    assert plain != generate(fused, read[0], **settings, own=own_of(read))


def test_classes_that_cannot_be_padded(runs, read):
    modules = (
        tiny_model({"model_type": "llama"}, seed=3),
        tiny_model({"model_type": "jamba"}),
        tiny_model({"model_type": "rwkv"}),
    )
    model = runs(modules, Mixture(("a", "b", "c"), (0.5, 0.2, 0.3)), vocabulary=90, rows=96)
    short = tuple([[each % 90 for each in ids] for ids in prompts[:6]] for prompts in read)
    found = generate(model, short[0], max_new_tokens=NEW, end_ids=ENDS, own=own_of(short))
    for row, each in enumerate(found):
        want, tie = alone(model, short, row)
        assert list(each.token_ids[: len(want)] if tie else each.token_ids) == want


@pytest.mark.parametrize("bucket", [Bucket(1, 1), Bucket(8), Bucket(64)])
def test_probabilities_are_those_of_models_run_one_by_one(fused, read, bucket, monkeypatch):
    monkeypatch.setattr(batch_module, "SCORED_VALUES", 64 * 128 * 3)
    source = torch.Generator().manual_seed(4)
    more = [
        torch.randint(3, 120, (int(n),), generator=source).tolist()
        for n in torch.randint(1, 20, (24,), generator=source)
    ]
    found = log_probs(fused, read[0], more, bucket=bucket, own=own_of(read))
    choices = [[ids, ids[:1], [*ids, 5]] for ids in more]
    chosen = choice_log_probs(fused, read[0], choices, bucket=bucket, own=own_of(read))
    base = type(fused)((fused.modules[1],))
    apart = kl_to(fused, base, read[0], more, bucket=bucket, own=own_of(read), others={0: read[1]})
    for row, ids in enumerate(more):
        logs = at(fused, read, row, ids)[:-1].log_softmax(-1)
        want = logs.gather(1, torch.tensor(ids)[:, None])[:, 0]
        torch.testing.assert_close(found[row], want, atol=1e-4, rtol=0)
        torch.testing.assert_close(chosen[row][0], want, atol=1e-4, rtol=0)
        torch.testing.assert_close(chosen[row][1], want[:1], atol=1e-4, rtol=0)
        text = torch.tensor([[*read[1][row], *ids]])
        q = base.modules[0](input_ids=text).logits[0, len(read[1][row]) - 1 : -1]
        p, q = logs[:, :120], q.float()[:, :120].log_softmax(-1)
        torch.testing.assert_close(apart[row], (p.exp() * (p - q)).sum(-1), atol=2e-3, rtol=1e-3)


def test_a_shift_of_one_module_is_seen(fused, read, monkeypatch):
    right = [alone(fused, read, row) for row in range(8)]
    advance = reading_module.Reading.advance

    def late(self, columns):
        advance(self, columns)
        if self.width > 50:
            self._positions = self._positions + 1 - self._positions.clamp(max=1)

    monkeypatch.setattr(reading_module.Reading, "advance", late)
    found = generate(
        fused, read[0][:8], max_new_tokens=NEW, end_ids=ENDS,
        own={place: each[:8] for place, each in own_of(read).items()},
    )  # fmt: skip
    assert any(list(a.token_ids) != b for a, (b, tie) in zip(found, right, strict=True) if not tie)


def test_each_prompt_has_to_fit_its_module(fused, read):
    long = [[5] * 120, *read[1][1:]]
    with pytest.raises(BadInput, match="prompt 0: 120 tokens and 12 new ones"):
        next(steps(fused, read[0], max_new_tokens=NEW, end_ids=ENDS, own={1: long}))
    with pytest.raises(BadInput, match="prompt 3: it has no tokens"):
        log_probs(fused, read[0], [[4]] * 24, own={2: [*read[2][:3], [], *read[2][4:]]})
