from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from engine.decoding import batch as batch_module
from engine.decoding import memory as memory_module
from engine.decoding import reading as reading_module
from engine.decoding.batch import Batch
from engine.decoding.fusion import Mixture, combine, mix
from engine.decoding.inputs import Bucket, no_tick
from engine.decoding.loop import Sampling, generate
from engine.errors import BadInput, Cancelled, ParetoscopeError

END = frozenset({2})
KINDS = ("llama", "mistral", "qwen2", "gemma2", "gpt2")


def texts(model, prompts, new=24, end=END, **options) -> list[list[int]]:
    found = generate(model, prompts, max_new_tokens=new, end_ids=end, **options)
    return [list(each.token_ids) for each in found]


def parted(model, prompts, left: Sequence[list[int]], right: Sequence[list[int]]) -> list[int]:
    """Prompts whose texts differ at a place where the two best logits are not within 1e-4."""
    found = []
    for index, (one, two) in enumerate(zip(left, right, strict=True)):
        if one == two:
            continue
        same = next(
            (n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b),
            min(len(one), len(two)),
        )
        ids = torch.tensor([[*prompts[index], *one[:same]]])
        raw = [module(input_ids=ids).logits[:, -1].float() for module in model.modules]
        last = combine(model.mixture, raw) if model.mixture else raw[0]
        best = last.topk(2).values[0]
        if best[0] - best[1] > 1e-4:
            found.append(index)
    return found


@pytest.fixture
def fused(tiny, runs):
    mixture = Mixture(("t", "a", "b"), (1.0, 0.8, -0.8))
    return runs((tiny("llama", 1), tiny("llama", 2), tiny("qwen2", 3)), mixture, 120, 128)


@pytest.mark.parametrize("bucket", [Bucket(), Bucket(1, 1), Bucket(2, 5)])
def test_proxy_tuning_reference_texts(golden, golden_models, runs, bucket):
    data = golden("proxy_tuning_e2e")
    prompts = [
        ids[real > 0].tolist()
        for ids, real in zip(data["input_ids"], data["attention_mask"], strict=True)
    ]
    for alpha, want in zip(data["alphas"].tolist(), data["out_token_ids"].tolist(), strict=True):
        mixture = mix([("expert", alpha), ("antiexpert", -alpha), ("base", 1.0)])
        model = runs(tuple(golden_models[name] for name in mixture.models), mixture, 256, 256)
        ended = [row[: row.index(2)] if 2 in row else row for row in want]
        assert texts(model, prompts, 24, bucket=bucket) == ended


def test_proxy_tuning_reference_logits(golden, golden_models, runs):
    data = golden("proxy_tuning_e2e")
    prompts = [
        ids[real > 0].tolist()
        for ids, real in zip(data["input_ids"], data["attention_mask"], strict=True)
    ]
    for row, alpha in enumerate(data["alphas"].tolist()):
        mixture = mix([("expert", alpha), ("antiexpert", -alpha), ("base", 1.0)])
        model = runs(tuple(golden_models[name] for name in mixture.models), mixture, None, 256)
        batch = Batch(model, prompts, Bucket(), no_tick)
        (_, logits) = list(batch.read())[-1]
        compared = 0
        for step in range(24):
            want = torch.tensor(data["out_logits"][row, :, step])
            if want.isnan().any():
                break
            assert (logits[:, -1] - want).abs().max() < 1e-4
            compared += 1
            logits = batch.feed(torch.tensor(data["out_token_ids"][row, :, step])[:, None])
        assert compared == 24


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_those_of_transformers(tiny, runs, prompts, kind):
    model = runs((tiny(kind, 1),))
    some = prompts[:12]
    want = []
    for ids in some:
        out = model.modules[0].generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=24, do_sample=False,
        )[0, len(ids) :].tolist()  # fmt: skip
        want.append(out[: out.index(2)] if 2 in out else out)
    assert len({tuple(each) for each in want}) > 6
    assert parted(model, some, want, texts(model, some)) == []


def test_texts_do_not_depend_on_the_batch(fused, prompts):
    ends = frozenset(range(2, 10))
    alone = texts(fused, prompts, 12, ends, bucket=Bucket(1, 1))
    assert len({len(each) for each in alone}) > 5  # rows leave at different steps
    for bucket in (Bucket(8), Bucket(8, 1), Bucket(64), Bucket(64, 64)):
        found = texts(fused, prompts, 12, ends, bucket=bucket)
        assert parted(fused, prompts, alone, found) == []
    found = texts(fused, prompts[:8], 12, ends, bucket=Bucket(1))
    assert parted(fused, prompts[:8], alone[:8], found) == []


@pytest.mark.parametrize("kind", KINDS)
def test_small_prefill_chunks_change_nothing(tiny, runs, prompts, kind, monkeypatch):
    model, some = runs((tiny(kind, 1),)), prompts[:16]
    whole = texts(model, some)
    monkeypatch.setattr(batch_module, "PREFILL_TOKENS", 16 * 3)
    assert parted(model, some, whole, texts(model, some)) == []


def test_tables_grow(fused, prompts, monkeypatch):
    whole = texts(fused, prompts[:8])
    monkeypatch.setattr(reading_module, "BLOCK", 1)
    assert texts(fused, prompts[:8]) == whole


def test_the_comparison_sees_a_position_off_by_one(fused, prompts, monkeypatch):
    prompts = prompts[:16]
    alone = texts(fused, prompts, bucket=Bucket(1, 1))
    right = reading_module.positions

    def wrong(pads, columns):
        return right(pads, columns) + (torch.arange(columns) >= 32)

    monkeypatch.setattr(reading_module, "positions", wrong)
    assert parted(fused, prompts, alone, texts(fused, prompts)) != []


def test_order_of_prompts_is_kept(fused, prompts):
    there = texts(fused, prompts[:9])
    back = texts(fused, prompts[8::-1])
    assert parted(fused, prompts[:9], there, back[::-1]) == []


@pytest.mark.parametrize(
    "sampling", [Sampling(0.8, seed=3), Sampling(1.2, top_p=0.9, top_k=30, seed=4)]
)
def test_samples_do_not_depend_on_the_batch(fused, prompts, sampling):
    alone = [
        texts(fused, prompts[: index + 1], 10, sampling=sampling, bucket=Bucket(64, 1))[index]
        for index in range(0, 24, 4)
    ]
    together = texts(fused, prompts, 10, sampling=sampling)
    # a draw flips only where noise leaves two ids within the float32 error: 60 draws, none here
    assert alone == together[:24:4]
    single = texts(fused, prompts[:12], 10, sampling=sampling, bucket=Bucket(1, 1))
    assert single == together[:12]
    other = texts(fused, prompts, 10, sampling=replace(sampling, seed=99))
    assert sum(a == b for a, b in zip(together, other, strict=True)) < 8


def test_equal_prompts_are_drawn_apart(fused, prompts):
    drawn = texts(fused, [prompts[0]] * 8, sampling=Sampling(1.5), end=frozenset())
    assert len({tuple(each) for each in drawn}) == 8


def test_zero_coefficients_are_the_target_exactly(tiny, runs, prompts):
    target = tiny("llama", 1)
    plain = Batch(runs((target,)), prompts, Bucket(), no_tick)
    steered = Batch(runs((target,), mix([("t", 1.0), ("e", 0.0)])), prompts, Bucket(), no_tick)
    assert torch.equal(list(plain.read())[-1][1], list(steered.read())[-1][1])


def test_an_expert_equal_to_the_base_changes_nothing(tiny, runs, prompts):
    target, small = tiny("llama", 1), tiny("qwen2", 3)
    steered = runs((target, small, small), Mixture(("t", "e", "b"), (1.0, 1.7, -1.7)), 128, 128)
    plain = runs((target,))
    assert parted(plain, prompts, texts(plain, prompts), texts(steered, prompts)) == []


def test_end_tokens_end_a_row_and_are_left_out(tiny, runs, prompts):
    model = runs((tiny("llama", 1),))
    free = texts(model, prompts[:6], end=frozenset())
    assert [len(each) for each in free] == [24] * 6
    end = frozenset({free[0][3], free[1][7]})
    found = generate(model, prompts[:6], max_new_tokens=24, end_ids=end)
    for each, full in zip(found, free, strict=True):
        cut = next((n for n, token in enumerate(full) if token in end), None)
        assert list(each.token_ids) == full[:cut]
        assert each.ended == ("length" if cut is None else "end")
    assert len(found[0].token_ids) <= 3


def test_a_stop_ends_its_row_only(tiny, runs, prompts):
    model = runs((tiny("llama", 1),))
    free = texts(model, prompts[:5], end=frozenset())
    seen: list[tuple[int, int]] = []
    asked: list[int] = []

    def stopped(index: int, ids: list[int]) -> bool:
        asked.append(index)
        assert ids == free[index][: len(ids)]
        return index == 3 and len(ids) == 4

    found = generate(
        model, prompts[:5], max_new_tokens=24, end_ids=frozenset(), stopped=stopped,
        on_tokens=lambda index, token: seen.append((index, token)),
    )  # fmt: skip
    assert [each.ended for each in found] == ["length"] * 3 + ["stop", "length"]
    assert list(found[3].token_ids) == free[3][:4]
    for index, each in enumerate(found):
        assert [token for which, token in seen if which == index] == list(each.token_ids)
    assert asked.count(3) == 4


def test_cancelling_ends_the_call(fused, prompts):
    calls = 0

    def tick() -> None:
        nonlocal calls
        calls += 1
        if calls == 20:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        texts(fused, prompts, tick=tick)
    assert calls == 20


def test_a_tick_comes_before_every_forward_and_outside_of_inference_mode(fused, prompts):
    inference: list[bool] = []
    texts(
        fused, prompts[:1], 5, frozenset(),
        tick=lambda: inference.append(torch.is_inference_mode_enabled()),
    )  # fmt: skip
    assert inference == [False] * (3 * 5)


def test_ids_outside_of_the_vocabulary_are_never_said(tiny, runs, prompts):
    pair = (tiny("llama", 1), tiny("llama", 2))
    mixture = Mixture(("a", "b"), (1.0, -0.4))
    free = texts(runs(pair, mixture, None, 128), prompts, end=frozenset())
    masked = texts(runs(pair, mixture, 60, 128), prompts, end=frozenset())
    assert max(map(max, free)) >= 60 > max(map(max, masked))


def test_models_of_other_sizes_are_cut_to_common_rows(tiny, runs, prompts):
    wide = tiny("llama", 5, vocab_size=136)
    model = runs((tiny("llama", 1), wide), Mixture(("a", "b"), (0.5, 0.5)), 128, 128)
    assert max(map(max, texts(model, prompts[:8]))) < 128


def test_weightless_input_is_refused(fused, prompts):
    with pytest.raises(BadInput, match="prompt 1: it has no tokens"):
        texts(fused, [[3], []])
    with pytest.raises(BadInput, match="100 tokens and 29 new ones exceed the models' 128"):
        texts(fused, [[3] * 100], 29)
    assert len(texts(fused, [[3] * 100], 28, frozenset())[0]) == 28
    with pytest.raises(BadInput, match="ids from 3 to 128, but the models only embed 0 to 127"):
        texts(fused, [[3, 128]])
    with pytest.raises(BadInput, match="max_new_tokens"):
        texts(fused, [[3]], 0)
    assert texts(fused, []) == []


def test_logits_that_are_no_numbers_are_a_fault(tiny, runs):
    broken = tiny("llama", 77)
    with torch.no_grad():
        broken.get_output_embeddings().weight.fill_(float("nan"))
    with pytest.raises(ParetoscopeError, match="not finite"):
        texts(runs((broken,)), [[3, 4]])


def test_buckets_depend_on_lengths_alone():
    assert Bucket(2).batches([5, 3, 5, 1]) == [[3, 1], [0, 2]]
    assert Bucket().batches([]) == []
    assert [Bucket().width(n) for n in (1, 16, 17)] == [16, 16, 32]
    # 32 tokens: two rows of up to 16 columns, one of 17, and one however long
    assert Bucket(4, 16, 32).batches([17, 3, 100, 16, 5]) == [[1, 4], [3], [0], [2]]
    with pytest.raises(ValueError):
        Bucket(0)


def test_the_cache_sets_how_many_rows_fit(tiny, runs, prompts, monkeypatch):
    model = runs((tiny(),))
    alone = texts(model, prompts[:8], bucket=Bucket(1, 1))
    # llama: 2 layers, 2 key-value heads of 8 numbers of 4 bytes, keys and values
    assert memory_module.cache_bytes(model.modules[0]) == 2 * 2 * 2 * 8 * 4
    monkeypatch.setattr(memory_module, "CACHE_BYTES", 256 * 64)
    fitted = memory_module.within_memory(Bucket(), model)
    assert (fitted.tokens, fitted.fit(16), fitted.fit(200)) == (64, 4, 1)
    assert parted(model, prompts[:8], alone, texts(model, prompts[:8])) == []
