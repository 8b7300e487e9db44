"""Mixtures that are written together: the same texts as one by one, and far fewer rows."""

from __future__ import annotations

import random

import pytest
import torch

from engine.decoding.fusion import Mixture
from engine.decoding.grid import write_ahead
from engine.decoding.inputs import Bucket
from engine.decoding.loop import Kept, Sampling, generate
from engine.decoding.prefixes import Prefixes
from engine.decoding.recording import behind

END = frozenset({2, 3})
NAMES = ("t", "a", "b")
NEW = 16


@pytest.fixture
def modules(tiny):
    return (tiny("llama", 1), tiny("llama", 2), tiny("qwen2", 3))


def several(count: int, spread: float, kind: str = "linear", **options: float) -> list[Mixture]:
    dice = random.Random(len(kind))
    found = []
    for _ in range(count):
        weight = dice.uniform(0.3, 0.3 + spread)
        weights = (
            (1 - weight, weight / 2, weight / 2) if kind == "alpha" else (1.0, weight, -weight)
        )
        found.append(Mixture(NAMES, weights, kind, tuple(options.items())))
    return found


@pytest.mark.parametrize(
    ("kind", "options"),
    [("linear", {}), ("alpha", {"alpha": 0.5}), ("nucleus", {"share": 0.9})],
)
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.7, seed=4)])
def test_texts_are_those_of_each_alone(runs, modules, prompts, kind, options, sampling):
    mixtures = several(6, 0.6, kind, **options)
    models = [runs(modules, each, 120, 128) for each in mixtures]
    kept = Kept(Prefixes(), exact=False)
    settings = {
        "max_new_tokens": NEW, "end_ids": END, "sampling": sampling, "bucket": Bucket(4, 4),
        "stopped": lambda index, ids: ids[-1] % 13 == index,
    }  # fmt: skip
    fed = write_ahead(kept.prefixes, models[0], mixtures, prompts[:6], **settings)
    assert 6 <= fed.distinct < fed.all
    ran: list[int] = []
    hooks = [each.register_forward_pre_hook(lambda *_: ran.append(1)) for each in modules]
    found = [generate(each, prompts[:6], kept=kept, **settings) for each in models]
    for each in hooks:
        each.remove()
    assert not ran
    assert found == [generate(each, prompts[:6], **settings) for each in models]
    assert len({each.token_ids for one in found for each in one}) > 6


def test_rows_are_distinct_prefixes(runs, modules, prompts):
    """As many columns are fed as there are distinct prefixes that go on."""
    mixtures = several(8, 0.4)
    models = [runs(modules, each, 120, 128) for each in mixtures]
    sizes: list[int] = []
    hook = modules[0].register_forward_pre_hook(
        lambda _, args, given: sizes.append(given["input_ids"].numel()), with_kwargs=True
    )
    settings = {"max_new_tokens": NEW, "end_ids": frozenset[int]()}
    fed = write_ahead(Prefixes(), models[0], mixtures, prompts[:5], **settings)
    hook.remove()
    texts = [generate(each, prompts[:5], **settings) for each in models]
    prefixes = {
        (index, found.token_ids[:length])
        for one in texts
        for index, found in enumerate(one)
        for length in range(1, NEW)
    }
    assert sum(sizes[1:]) == len(prefixes)
    assert fed.all == 8 * 5 * NEW


@pytest.mark.parametrize("first", [0, 3])
def test_what_is_kept_already_is_gone_on_from(runs, modules, prompts, first):
    """Texts that part from one that was written before, at its every place and at its end."""
    mixtures = several(8, 1.2)
    models = [runs(modules, each, 120, 128) for each in mixtures]
    settings = {"max_new_tokens": NEW, "end_ids": END}
    want = [generate(each, prompts[:6], **settings) for each in models]
    kept = Kept(Prefixes(), exact=False)
    generate(models[first], prompts[:6], kept=kept, **(settings | {"max_new_tokens": 5}))
    write_ahead(kept.prefixes, models[0], mixtures[:4], prompts[:6], **settings)
    write_ahead(kept.prefixes, models[0], mixtures, prompts[:6], **settings)
    ran: list[int] = []
    hooks = [each.register_forward_pre_hook(lambda *_: ran.append(1)) for each in modules]
    assert [generate(each, prompts[:6], kept=kept, **settings) for each in models] == want
    for each in hooks:
        each.remove()
    assert not ran
    assert len({each.token_ids for one in want for each in one}) > 12


def test_a_text_behind_one_that_was_not_kept_is_not_kept_either():
    """What hangs on it would else hang on another text's run, and be taken for its own."""
    prefixes = Prefixes(4000)
    size = torch.zeros(4, 100)
    run = prefixes.add((None, "prompt"), [5, 6, 7, 8], (size,))
    assert run is not None
    trail, anchor, there = prefixes.along((None, "prompt"), [5, 6, 9, 1, 2])
    assert [each.tokens for each in trail] == [range(3)] and there == 3
    assert anchor == (run, (2, 9)) and prefixes.at(anchor) is None
    assert behind(trail, 1, 3) == (run, (1, 3)) and behind(trail, 3, 8) is None
    assert prefixes.along((run, (1, 6)), [7, 8])[1:] == ((run, (3, 8)), 2)


def test_a_little_room_only_costs_time(runs, modules, prompts):
    mixtures = several(4, 0.6)
    models = [runs(modules, each, 120, 128) for each in mixtures]
    settings = {"max_new_tokens": NEW, "end_ids": END}
    kept = Kept(Prefixes(60_000))
    write_ahead(kept.prefixes, models[0], mixtures, prompts[:6], **settings)
    for each in models:
        want = generate(each, prompts[:6], **settings)
        assert generate(each, prompts[:6], kept=kept, **settings) == want
