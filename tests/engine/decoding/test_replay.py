"""Texts that are decided from what is kept: the same as fresh ones, and without running models."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from engine.decoding import margin as margin_module
from engine.decoding import reading as reading_module
from engine.decoding.fusion import Mixture
from engine.decoding.inputs import Bucket
from engine.decoding.loop import Kept, Sampling, generate, steps
from engine.decoding.prefixes import Prefixes
from engine.decoding.sampling import gumbel, row_keys
from engine.errors import Cancelled
from engine.family.tiny_model import tiny_model

END = frozenset({2, 3})
NAMES = ("t", "a", "b")
NEW = 16
SAMPLED = Sampling(temperature=0.8, seed=3)


@pytest.fixture
def modules(tiny):
    return (tiny("llama", 1), tiny("llama", 2), tiny("qwen2", 3))


@pytest.fixture
def forwards(modules):
    """`forwards()`: columns fed to each model since the last time it was asked."""
    seen: list[list[int]] = [[] for _ in modules]
    hooks = [
        module.register_forward_pre_hook(
            lambda _, args, given, into=into: into.append(given["input_ids"].shape[1]),
            with_kwargs=True,
        )
        for module, into in zip(modules, seen, strict=True)
    ]

    def asked() -> list[list[int]]:
        found = [list(each) for each in seen]
        for each in seen:
            each.clear()
        return found

    yield asked
    for hook in hooks:
        hook.remove()


@pytest.fixture
def fused(runs, modules) -> Callable[..., object]:
    def make(a: float, b: float, kind: str = "linear", **options: float):
        weights = (1.0, a, b)
        if kind in ("forward_kl", "alpha"):
            weights = tuple(abs(each) / (1 + abs(a) + abs(b)) for each in weights)
        return runs(modules, Mixture(NAMES, weights, kind, tuple(options.items())), 120, 128)

    return make


def texts(model, prompts, **options):
    settings = {"max_new_tokens": NEW, "end_ids": END, **options}
    return generate(model, prompts, **settings)


KINDS = {
    "linear": {},
    "forward_kl": {},
    "alpha": {"alpha": 0.5},
    "nucleus": {"share": 0.9},
    "plausible": {"share": 0.1},
    "dynamic": {"directed": 0.0, "target": 1.0, "step": 0.1, "max": 2.0},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_it_says_afresh(fused, prompts, kind):
    dice = random.Random(len(kind))
    kept, some = Kept(Prefixes(), exact=False), prompts[:6]
    for turn in range(8):
        model = fused(dice.uniform(-1.5, 1.5), dice.uniform(-1.5, 1.5), kind, **KINDS[kind])
        options = {"sampling": SAMPLED} if turn % 2 else {}
        assert texts(model, some, kept=kept, **options) == texts(model, some, **options)
    assert kept.prefixes.bytes > 0


@pytest.mark.parametrize("sampling", [Sampling(), SAMPLED, Sampling(0.7, top_p=0.8, seed=1)])
def test_stops_lengths_and_tokens_are_the_same(fused, prompts, sampling):
    dice = random.Random(5)
    prefixes = Prefixes()

    def stopped(index: int, ids: list[int]) -> bool:
        return ids[-1] % 11 == index % 11

    for _ in range(8):
        model = fused(dice.uniform(0, 0.8), -dice.uniform(0, 0.8))
        told: dict[str, list[tuple[int, int]]] = {"fresh": [], "kept": []}
        found = {
            name: texts(
                model, prompts[:12], sampling=sampling, max_new_tokens=dice_new, stopped=stopped,
                bucket=Bucket(5, 4), on_tokens=lambda *each, into=into: into.append(each), **more,
            )
            for dice_new in [dice.randint(1, NEW)]
            for (name, into), more in zip(told.items(), ({}, {"kept": Kept(prefixes)}), strict=True)
        }  # fmt: skip
        assert found["kept"] == found["fresh"]
        assert sorted(told["kept"]) == sorted(told["fresh"])


def test_a_move_that_changes_nothing_runs_no_model(fused, prompts, forwards):
    kept = Kept(Prefixes())
    first = texts(fused(0.8, -0.8), prompts[:8], kept=kept)
    forwards()
    assert texts(fused(0.8001, -0.8), prompts[:8], kept=kept) == first
    assert forwards() == [[], [], []]


def test_a_late_change_feeds_the_rest(fused, prompts, forwards):
    kept, prompt = Kept(Prefixes()), prompts[3:4]
    first = texts(fused(0.8, -0.8), prompt, kept=kept, end_ids=frozenset())[0].token_ids
    forwards()
    parted = 0
    for step in range(1, 60):
        found = texts(fused(0.8 + step / 100, -0.8), prompt, kept=kept, end_ids=frozenset())
        said = found[0].token_ids
        ran = forwards()
        if said == first:
            assert ran == [[], [], []]
            continue
        parted = next(n for n in range(NEW) if said[n] != first[n])
        if parted > 1:
            break
        first = said
    assert parted > 1
    assert ran == [[1] * (NEW - parted - 1)] * 3  # the token that is new, then one a step


def test_one_prompt_goes_on_from_where_its_last_text_ended(fused, prompts):
    dice, kept = random.Random(2), Kept(Prefixes())
    for turn in range(40):
        model = fused(dice.uniform(0, 1.2), -dice.uniform(0, 1.2))
        options = {
            "max_new_tokens": dice.randint(1, NEW),
            "sampling": (Sampling(), SAMPLED)[turn % 2],
        }
        found = texts(model, prompts[5:6], kept=kept, **options)
        assert found == texts(model, prompts[5:6], **options)
    assert kept.prefixes._tails


def test_rows_of_several_depths_go_on_together(fused, prompts, forwards):
    kept, fresh = Kept(Prefixes()), fused(0.3, -0.9)
    texts(fused(0.1, -0.1), prompts[:24], kept=kept)
    texts(fused(0.5, -0.5), prompts[:24], kept=kept)
    forwards()
    found = texts(fresh, prompts[:24], kept=kept)
    columns = forwards()[0]
    assert 1 < columns[0] < NEW and set(columns[1:]) == {1}
    assert found == texts(fresh, prompts[:24])


def test_prompts_of_their_own(fused, prompts):
    kept = Kept(Prefixes())
    own = {1: [[*ids[::-1], 5] for ids in prompts[:6]], 2: [[7, *ids] for ids in prompts[:6]]}
    for words in ({}, own, {1: own[1]}):
        for weight in (0.5, 0.7, 0.9):
            model = fused(weight, -0.4)
            want = texts(model, prompts[:6], own=words)
            assert texts(model, prompts[:6], own=words, kept=kept) == want


@pytest.mark.parametrize("limit", [0, 20_000, 100_000, 400_000])
def test_a_tiny_budget_changes_nothing(fused, prompts, limit):
    kept = Kept(Prefixes(limit))
    for weight in (0.2, 0.5, 0.8, 0.5, 0.2, 0.8):
        model = fused(weight, -weight)
        assert texts(model, prompts[:8], kept=kept) == texts(model, prompts[:8])
        assert kept.prefixes.bytes <= limit


def test_what_leads_to_a_run_is_kept_longer(fused, prompts):
    prefixes = Prefixes()
    for weight in (0.2, 0.5, 0.8):
        texts(fused(weight, -weight), prompts[:8], kept=Kept(prefixes))
    runs = [each for each in prefixes._used if not isinstance(each, tuple)]
    assert any(each.anchor[0] is not None for each in runs)
    while runs:
        prefixes._forget(runs[0])
        left = [each for each in prefixes._used if not isinstance(each, tuple)]
        assert len(left) == len(runs) - 1
        runs = left
    assert not prefixes._roots


def test_cancelled_texts_are_kept_as_far_as_they_came(fused, prompts, forwards):
    kept, model = Kept(Prefixes()), fused(0.8, -0.8)
    ticks = iter(range(10_000))

    def tick() -> None:
        if next(ticks) == 3 * 6:
            raise Cancelled

    with pytest.raises(Cancelled):
        texts(model, prompts[:1], kept=kept, tick=tick, end_ids=frozenset())
    forwards()
    found = texts(model, prompts[:1], kept=kept, end_ids=frozenset())
    assert forwards()[0] == [5, *[1] * (NEW - 6)]
    assert found == texts(model, prompts[:1], end_ids=frozenset())


def test_close_ids_are_decided_by_the_whole_batch(fused, prompts, forwards, monkeypatch):
    kept, model = Kept(Prefixes()), fused(0.8, -0.8)
    first = texts(model, prompts[:8], kept=kept)
    forwards()
    monkeypatch.setattr(margin_module, "LEAST", 100.0)
    told: list[tuple[int, int]] = []
    again = texts(model, prompts[:8], kept=kept, on_tokens=lambda *each: told.append(each))
    assert again == first
    assert sorted(told) == sorted((n, t) for n, each in enumerate(first) for t in each.token_ids)
    columns = forwards()[0]
    assert columns and set(columns) == {1}  # the prompts are not read again


@pytest.mark.parametrize("exact", [True, False])
def test_16_bits_replay_only_where_a_text_may_differ(prompts, runs, tiny, exact, forwards, fused):
    modules = [tiny("llama", seed, initializer_range=0.3).bfloat16() for seed in (21, 22, 23)]
    model = runs(tuple(modules), Mixture(NAMES, (1.0, 0.5, -0.5)), 120, 128)
    kept, ran = Kept(Prefixes(), exact), []
    hook = modules[0].register_forward_pre_hook(lambda *_: ran.append(1))
    first = texts(model, prompts[:4], kept=kept)
    reads = len(ran)
    assert texts(model, prompts[:4], kept=kept) == first
    hook.remove()
    assert len(ran) == (2 * reads - 1 if exact else reads)


@pytest.mark.parametrize(
    "kind", ["mistral", "gemma2", "gpt2", "bloom", "mamba", "rwkv", "qwen3_next"]
)
def test_classes_of_every_kind(runs, tiny, prompts, kind):
    common = ("mistral", "gemma2", "gpt2")
    made = [
        tiny(kind, n) if kind in common else tiny_model({"model_type": kind}, seed=n)
        for n in (1, 2)
    ]
    rows = min(each.config.get_text_config().vocab_size for each in made)
    some = [[token % rows for token in ids] for ids in (*prompts[:3], prompts[3][:1], prompts[1])]
    kept = Kept(Prefixes())
    for weight in (0.5, 0.55, 0.9, 0.5):
        model = runs(tuple(made), Mixture(("a", "b"), (1.0, weight)), rows, rows)
        want = texts(model, some, end_ids=frozenset())
        assert texts(model, some, end_ids=frozenset(), kept=kept) == want


def test_a_position_off_by_one_behind_a_replay_shows(fused, prompts, monkeypatch):
    right = reading_module.Reading.leave_out

    def wrong(self, counts):
        right(self, [max(0, each - 1) for each in counts])

    monkeypatch.setattr(reading_module.Reading, "leave_out", wrong)
    kept = Kept(Prefixes())
    texts(fused(0.1, -0.1), prompts[:24], kept=kept)
    model = fused(0.6, -0.6)
    assert texts(model, prompts[:24], kept=kept) != texts(model, prompts[:24])


def test_a_run_in_the_wrong_place_shows(fused, prompts):
    prefixes = Prefixes()
    texts(fused(0.1, -0.1), prompts[:8], kept=Kept(prefixes))
    for run in prefixes._roots.values():
        run.kept = tuple(each.roll(1, 0) for each in run.kept)
    model = fused(0.12, -0.1)
    assert texts(model, prompts[:8], kept=Kept(prefixes)) != texts(model, prompts[:8])


def test_steps_rest_after_each_token(fused, prompts):
    kept = Kept(Prefixes())
    model = fused(0.8, -0.8)
    settings = {"max_new_tokens": NEW, "end_ids": frozenset[int]()}
    assert sum(1 for _ in steps(model, prompts[:2], **settings, kept=kept)) == NEW - 1
    assert sum(1 for _ in steps(model, prompts[:2], **settings, kept=kept)) == 0


def test_noise_of_several_positions_is_that_of_each():
    keys = row_keys(4, [0, 1, 2])
    at_once = gumbel(keys, torch.tensor([5, 0, 900]), 64)
    for row, position in enumerate((5, 0, 900)):
        assert torch.equal(at_once[row], gumbel(keys[row : row + 1], position, 64)[0])
