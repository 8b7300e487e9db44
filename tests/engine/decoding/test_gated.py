from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from engine.decoding.catching_up import Cohort, Reader
from engine.decoding.fusion import Mixture, combine
from engine.decoding.inputs import Bucket, no_tick
from engine.decoding.lazy import LazyBatch
from engine.decoding.loop import Sampling, generate
from engine.decoding.rules import in_doubt
from engine.decoding.sampling import choose, row_keys
from engine.decoding.stage import Stage
from engine.decoding.teacher_forced import log_probs
from engine.errors import BadInput
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve

PAIR = Names(("a", "b"))
LARGE = Names(("a", "b"), has_target=True)
ENDS = frozenset(range(2, 14))
NEW = 12


def built(names: Names, coefficients: dict[str, float], **parameters: object) -> Mixture:
    recipe = resolve(Recipe("gated", coefficients, parameters), names)
    return METHODS["gated"].build(recipe.coefficients, names, **recipe.parameters)


def proxy(names: Names, coefficients: dict[str, float]) -> Mixture:
    return METHODS["proxy_tuning"].build(coefficients, names)


def test_the_base_first_and_the_sum_elsewhere():
    found = built(LARGE, {"a": 0.5, "b": 1.0, "threshold": 0.7})
    assert dict(zip(found.models, found.weights, strict=True)) == {
        "base": -1.5, "a": 0.5, "b": 1.0, "target": 1.0,
    }  # fmt: skip
    assert (found.models[0], found.kind, found.options) == ("base", "gated", (("threshold", 0.7),))
    cascade = built(LARGE, {"threshold": 0.7})
    assert (cascade.models, cascade.weights) == (("base", "target"), (0.0, 1.0))
    assert built(LARGE, {"threshold": 0.7}, on="base").models == ("base",)


def test_a_threshold_of_nothing_is_proxy_tuning():
    some = {"a": 0.5, "b": 1.0}
    assert built(LARGE, some) == proxy(LARGE, some)
    assert built(PAIR, {"a": 1.0}) == proxy(PAIR, {"a": 1.0})


def test_what_is_refused():
    with pytest.raises(BadInput, match="no entropy is below 0"):
        built(PAIR, {"threshold": -0.1})
    with pytest.raises(BadInput, match="Call the expert otherwise"):
        built(Names(("a", "threshold")), {"a": 1.0})


def test_by_hand():
    sure, unsure = torch.tensor([0.97, 0.02, 0.01]).log(), torch.tensor([0.5, 0.3, 0.2]).log()
    base, expert = torch.stack([sure, unsure]), torch.tensor([[0.0, 5.0, 0.0]] * 2)
    mixture = built(PAIR, {"a": 1.0, "threshold": 0.5})
    found = combine(mixture, [base.clone(), expert])
    assert torch.equal(found[0], sure) and torch.equal(found[1], expert[1])
    # −Σ p log p = 0.154 and 1.030
    for threshold, doubted in ((0.15, [True, True]), (0.16, [False, True]), (1.04, [False] * 2)):
        assert in_doubt(base, {"threshold": threshold}).tolist() == doubted


def plain(model, prompts: Sequence[Sequence[int]], sampling: Sampling):
    """Texts of all models on the whole text at every step, a row at a time; and the number of the
    last token of each that was in doubt, from 1."""
    texts, doubts, last = [], [], []
    for index, prompt in enumerate(prompts):
        written: list[int] = []
        last.append(0)
        for position in range(NEW):
            ids = torch.tensor([[*prompt, *written]])
            logits = [each(input_ids=ids, use_cache=False).logits[:, -1] for each in model.modules]
            logits = [each[:, : model.rows] for each in logits]
            known = logits[0][:, : model.vocabulary]
            doubts.append(bool(in_doubt(known, dict(model.mixture.options))))
            last[-1] = position + 1 if doubts[-1] else last[-1]
            fused = combine(model.mixture, logits, model.vocabulary)
            token = int(choose(fused, sampling, row_keys(sampling.seed, [index]), position))
            if token in ENDS:
                break
            written.append(token)
        texts.append(written)
    assert 0.2 < sum(doubts) / len(doubts) < 0.8, "a threshold that decides"
    return texts, last


@pytest.fixture(params=[("gpt2", "mistral"), ("llama", "qwen2")], ids=["several", "plain"])
def model(tiny, runs, request):
    """Models of several kinds: with windows, with positions that are learnt, and plain ones."""
    return of_kinds(tiny, runs, *request.param)


def of_kinds(tiny, runs, a: str, b: str, threshold: float = 2.6):
    mixture = built(LARGE, {"a": 0.8, "b": 0.4, "threshold": threshold})
    named = {"base": tiny("llama", 1), "target": tiny("qwen2", 2), "a": tiny(a, 3), "b": tiny(b, 4)}
    return runs(tuple(named[each] for each in mixture.models), mixture, 120, 128)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.9, seed=4)], ids=["greedy", "sampled"])
def test_texts_are_those_of_a_loop_that_runs_every_model(model, prompts, sampling):
    some = prompts[:8]
    wanted, last = plain(model, some, sampling)
    assert len({len(each) for each in wanted}) > 2, "rows that end early"
    for bucket in (Bucket(), Bucket(1, 1), Bucket(8, 5)):
        found = generate(
            model, some, max_new_tokens=NEW, end_ids=ENDS, sampling=sampling, bucket=bucket
        )
        assert [list(each.token_ids) for each in found] == wanted
        for each, doubted in zip(found, last, strict=True):
            tokens = len(each.token_ids) + (each.ended == "end")
            assert each.runs == (tokens, *[doubted] * 3)


def test_a_costly_model_reads_what_is_counted_and_no_more(model, prompts):
    """Every column that a forward is given, seen from outside."""
    read = [0] * len(model.modules)

    def watch(place):
        def hook(module, args, kwargs):
            read[place] += kwargs["input_ids"].numel()

        return hook

    hooks = [
        module.register_forward_pre_hook(watch(place), with_kwargs=True)
        for place, module in enumerate(model.modules)
    ]
    some = [prompts[index] for index in (0, 2, 5)]
    try:
        found = generate(
            model, some, max_new_tokens=NEW, end_ids=ENDS, bucket=Bucket(rows=1, multiple=1)
        )
    finally:
        for each in hooks:
            each.remove()
    for place, count in enumerate(read):
        runs = [each.runs[place] for each in found]
        begun = [len(prompt) - 1 for prompt, run in zip(some, runs, strict=True) if run]
        assert count == sum(runs) + sum(begun)


@pytest.mark.parametrize(("planted", "name"), [(Reader, "read"), (Cohort, "catch_up")])
def test_a_catch_up_that_leaves_tokens_out_is_seen(tiny, runs, prompts, monkeypatch, planted, name):
    model = of_kinds(tiny, runs, "gpt2", "mistral")
    true = getattr(planted, name)
    wanted, _ = plain(model, prompts[:4], Sampling())

    def last_alone(self, after, *rest):
        return true(self, torch.cat([after[:, :-1] * 0 + 5, after[:, -1:]], 1), *rest)

    monkeypatch.setattr(planted, name, last_alone)
    found = generate(model, prompts[:4], max_new_tokens=NEW, end_ids=ENDS)
    assert [list(each.token_ids) for each in found] != wanted


@pytest.mark.parametrize(("threshold", "most"), [(0.001, 1), (2.6, 4)])
def test_rows_that_ask_at_one_step_are_read_together(tiny, runs, prompts, threshold, most):
    """Where every token asks in one call a step; else in one for each number of tokens to read."""
    model = of_kinds(tiny, runs, "llama", "qwen2", threshold)
    calls: list[int] = []
    stage = Stage.run

    def counted(self, ids, *rest):
        calls.append(len(ids) if self.module is model.modules[-1] else 0)
        return stage(self, ids, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stage, "run", counted)
        found = generate(model, prompts[:8], max_new_tokens=NEW, end_ids=frozenset())
    costly = [each for each in calls if each]
    asked = max(each.runs[-1] for each in found)
    assert sum(costly) >= 8 and len(costly) <= most * asked < sum(costly) * most
    if threshold < 0.01:
        assert costly == [8] * NEW


def test_rows_go_on_from_copies(model, prompts):
    batch = LazyBatch(model, prompts[:3], Bucket(), no_tick)
    (_, logits) = list(batch.read())[-1]
    tokens = logits[:, -1].argmax(-1, keepdim=True)
    other = batch.branch([2, 0, 2])
    apart = other.feed(torch.tensor([[7], [8], [9]]))
    fed = batch.feed(tokens)
    again = batch.branch([1]).feed(tokens[1:2])
    assert not torch.equal(apart[0], apart[2])
    for row, ids in enumerate(tokens.tolist()):
        alone = LazyBatch(model, [prompts[row]], Bucket(1, 1), no_tick)
        list(alone.read())
        assert torch.allclose(alone.feed(torch.tensor([ids])), fed[row : row + 1], atol=2e-4)
    assert again.isfinite().any()


def test_scores_of_given_texts_run_every_model(model, prompts):
    texts = [each[:5] for each in prompts[8:14]]
    found = log_probs(model, prompts[:6], texts)
    for prompt, text, values in zip(prompts, texts, found, strict=False):
        ids = torch.tensor([[*prompt, *text]])
        logits = [each(input_ids=ids, use_cache=False).logits[0, :, :128] for each in model.modules]
        fused = combine(model.mixture, logits, 120).log_softmax(-1)[len(prompt) - 1 : -1]
        assert torch.allclose(values, fused.gather(1, torch.tensor(text)[:, None])[:, 0], atol=1e-3)


def test_models_that_read_prompts_of_their_own(model, prompts):
    own = {2: [[5, 6, *each] for each in prompts[:6]], 3: [each[-2:] for each in prompts[:6]]}
    found = generate(model, prompts[:6], max_new_tokens=NEW, end_ids=ENDS, own=own)
    for row, each in enumerate(found):
        written: list[int] = []
        while len(written) < NEW:
            logits = [
                module(
                    input_ids=torch.tensor([[*own.get(place, prompts)[row], *written]]),
                    use_cache=False,
                ).logits[:, -1, : model.rows]
                for place, module in enumerate(model.modules)
            ]
            token = int(combine(model.mixture, logits, model.vocabulary).argmax())
            if token in ENDS:
                break
            written.append(token)
        assert list(each.token_ids) == written
        assert len(set(each.runs[1:])) == 1  # prompts of other lengths count once all the same
