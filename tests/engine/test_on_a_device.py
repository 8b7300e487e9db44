"""Every composed path on a stand-in for an accelerator, where a tensor left on the CPU raises.

Texts and scores are those of the same path on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from engine.compose import Composer
from engine.composed import ComposedModel
from engine.decoding import reading, rules
from engine.decoding.attribution import attribute
from engine.decoding.divergence import kl_to
from engine.decoding.grid import write_ahead
from engine.decoding.loop import Kept, Sampling, generate, steps
from engine.decoding.prefixes import Prefixes
from engine.decoding.slider_line import line_of
from engine.decoding.slider_map import slider_map
from engine.decoding.teacher_forced import choice_log_probs, log_probs
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve
from engine.scoring.evaluate import evaluate
from engine.study import Study, load_study
from tests.families import build_tied_family
from tests.stand_in import DEVICE, Accelerator, There, WrongDevice, accelerator

FULL = {"helpful": 0.7, "padded": 0.4}
LORA = {"terse": 0.8, "formal": 0.5}
WEIGHTS = (
    Recipe("task_arithmetic", FULL),
    Recipe("task_arithmetic", LORA),
    Recipe("task_arithmetic", {"helpful": 0.6, "terse": 0.5}),
    Recipe("linear", {"base": 0.3, **FULL}),
    Recipe("pcb", FULL),
    Recipe("ties", FULL),
    Recipe("dare", FULL),
    Recipe("breadcrumbs", FULL),
    Recipe("compeft", FULL),
    Recipe("tsv", FULL),
)
LOGITS = (
    Recipe("single", {}, {"model": "target"}),
    Recipe("single", {}, {"model": "terse"}),
    Recipe("proxy_tuning", {"helpful": 0.8, "terse": 0.5}),
    Recipe("logit_fusion", {"base": 0.5, "helpful": 0.5}),
    Recipe("logit_fusion", {"base": 0.5, "helpful": 0.5}, {"kind": "forward_kl"}),
    Recipe("logit_fusion", {"base": 0.5, "helpful": 0.5}, {"kind": "alpha"}),
    Recipe("arm_guidance", {"helpful": 0.6}),
    Recipe("dexperts", {"helpful": 1.0}),
    Recipe("contrastive", {"contrast": 0.5}),
    Recipe("guidance", {"scale": 0.5, "negative": 0.5}, {"negative_prompt": "the sea "}),
    Recipe("gated", {"helpful": 0.8, "threshold": 2.5}),
    Recipe("eft", {"lambda": 0.4}),
    Recipe("dynamic_fusion", {"helpful": 1.0, "padded": 1.0}, {"step": 0.5}),
    Recipe("dynamic_fusion", {"helpful": 1.0}, {"mode": "directed", "step": 0.5}),
)
NEW_TOKENS = 3
SAMPLED = Sampling(temperature=0.8, top_p=0.9, top_k=40, seed=3)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    files = build_tied_family(tmp_path_factory.mktemp("device"))
    return load_study(files.study("helpful", "padded", "terse", "formal", target=True))


@pytest.fixture(scope="module")
def here(study: Study) -> Composer:
    return Composer(open_family(study.family), device="cpu", compute_dtype="float32")


@pytest.fixture(scope="module")
def there(study: Study) -> Composer:
    """Its models are loaded when they are asked for, onto the device."""
    found = Composer(open_family(study.family), device="cpu", compute_dtype="float32")
    found.device = DEVICE
    return found


@pytest.fixture
def device() -> Iterator[Accelerator]:
    with accelerator() as found:
        yield found


def found(composer: Composer, model: ComposedModel) -> dict[str, Any]:
    """What a model says and how likely it finds texts, by every way that there is to run it."""
    source = torch.Generator().manual_seed(1)
    prompts = [torch.randint(5, 290, (n,), generator=source).tolist() for n in (3, 9, 1)]
    more = [torch.randint(5, 290, (n,), generator=source).tolist() for n in (2, 4, 1)]
    ends = composer.text.end_ids | frozenset(range(100, 140))  # so that rows leave early
    own = {place: [[5, *each] for each in prompts] for place in model.own}
    texts = [
        [each.token_ids for each in generate(
            model, prompts, max_new_tokens=NEW_TOKENS, end_ids=ends, sampling=sampling, own=own
        )]
        for sampling in (Sampling(), SAMPLED)
    ]  # fmt: skip
    likely = [each.tolist() for each in log_probs(model, prompts, more, own=own)]
    choices = [[more[0], more[1]], [more[2]], [more[1], more[0]]]
    chosen = choice_log_probs(model, prompts, choices, own=own)
    base = composer.module("base") if model.mixture else None
    apart = kl_to(model, base or model, prompts, more, own=own)
    moved = attribute(model, [model], [(prompts, own)] * 2, more) if model.mixture else ()
    who = [[each.probability, each.entropy, *each.without, *(each.contributions or ())]
           for each in moved]  # fmt: skip
    return {
        "who": [value for parts in who for part in parts for value in part.tolist()],
        "texts": texts,
        "likely": [value for each in likely for value in each],
        "choices": [value for row in chosen for each in row for value in each.tolist()],
        "kl": [value for each in apart for value in each.tolist()],
    }


def same(ours: dict[str, Any], wanted: dict[str, Any], within: float) -> None:
    assert ours["texts"] == wanted["texts"]
    for each in ("likely", "choices", "kl", "who"):
        assert ours[each] == pytest.approx(wanted[each], abs=within), each


@pytest.mark.parametrize("recipe", [*WEIGHTS, *LOGITS], ids=str)
def test_every_method(here: Composer, there: Composer, recipe: Recipe) -> None:
    resolved = resolve(recipe, here.family.names)
    wanted = found(here, here.compose(resolved))
    with accelerator() as device:
        model = there.compose(resolved)
        ours = found(there, model)
    parts = [each for module in model.modules for each in module.parameters()]
    assert all(isinstance(each, There) for each in parts) and device.operations > 100
    # on a device the spectrum comes of another algorithm: some weights are rounded otherwise
    same(ours, wanted, within=5e-3 if recipe.method == "tsv" else 2e-4)


@pytest.mark.parametrize("recipe", [LOGITS[2], LOGITS[3], LOGITS[7]], ids=str)
def test_the_map_of_a_slider(here: Composer, there: Composer, recipe: Recipe) -> None:
    resolved = resolve(recipe, here.family.names)
    line = line_of(resolved, "helpful", here.family.names, 0.0, 2.0)

    def mapped(composer: Composer, sampling: Sampling) -> list[Any]:
        maps = slider_map(
            composer.compose(line.recipe), line, [[7, 8], [9]], 0.0, 2.0, max_new_tokens=3,
            end_ids=composer.text.end_ids, sampling=sampling,
        )  # fmt: skip
        return [[each.token_ids for each in intervals] for intervals in maps]

    for sampling in (Sampling(), Sampling(temperature=0.8, seed=3)):
        wanted = mapped(here, sampling)
        with accelerator():
            assert mapped(there, sampling) == wanted


def test_adapters_by_rows(here: Composer, there: Composer) -> None:
    mixtures = (LORA, {"terse": 1.0}, {"formal": 0.4, "terse": -0.2})
    recipes = [resolve(Recipe("task_arithmetic", each), here.family.names) for each in mixtures]
    prompts = [[7, 8, 9], [200, 11], [30, 31, 32, 33], [7, 8, 9]]

    def texts(composer: Composer) -> list[tuple[int, ...]]:
        model = composer.compose_rows(recipes)
        loop = steps(
            model, prompts, max_new_tokens=NEW_TOKENS, end_ids=composer.text.end_ids,
            owners=[0, 1, 2, 2],
        )  # fmt: skip
        while True:
            try:
                next(loop)
            except StopIteration as end:
                return [each.token_ids for each in end.value]

    wanted = texts(here)
    assert len(set(wanted)) == 4
    with accelerator():
        assert texts(there) == wanted


def test_texts_from_what_is_kept(here: Composer, there: Composer) -> None:
    prompts = [[7, 8, 9], [200, 11], [30, 31, 32, 33]]
    settings: dict[str, Any] = {"max_new_tokens": 6, "end_ids": frozenset(range(100, 140))}

    def texts(composer: Composer) -> list[Any]:
        kept, names = Kept(Prefixes(), exact=False), composer.family.names
        recipes = [Recipe("proxy_tuning", {"helpful": each}) for each in (0.8, 0.81, 1.9, 0.2)]
        models = [composer.compose(resolve(each, names)) for each in recipes]
        found: list[Any] = []
        for model in models:
            found += generate(model, prompts, kept=kept, **settings)
            found += generate(model, prompts[:1], kept=kept, sampling=SAMPLED, **settings)
        mixtures = [each.mixture for each in models if each.mixture is not None]
        kept = Kept(Prefixes(), exact=False)
        write_ahead(kept.prefixes, models[0], mixtures, prompts, **settings)
        found += [generate(each, prompts, kept=kept, **settings) for each in models]
        return [*found, kept.prefixes.bytes > 0]

    wanted = texts(here)
    with accelerator():
        assert texts(there) == wanted


@pytest.mark.parametrize("recipe", [WEIGHTS[2], LOGITS[3]], ids=str)
def test_scores(study: Study, here: Composer, there: Composer, recipe: Recipe) -> None:
    names = ("has", "pick", "loss", "drift")
    asked = [replace(each, limit=3) for each in study.objectives if each.name in names]

    def scores(composer: Composer) -> dict[str, Any]:
        model = composer.compose(resolve(recipe, composer.family.names))
        rows = evaluate(model, asked, base=lambda: composer.module("base"))
        return {objective.name: score.mean for objective, score, _ in rows}

    wanted = scores(here)
    assert len(wanted) == 4
    with accelerator():
        assert scores(there) == pytest.approx(wanted, abs=1e-4)


def fused(composer: Composer) -> list[Any]:
    model = composer.compose(resolve(LOGITS[2], composer.family.names))
    return generate(model, [[7, 8], [9]], max_new_tokens=2, end_ids=composer.text.end_ids)


def test_a_combination_with_a_tensor_of_the_cpu_is_seen(
    there: Composer, device: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = rules.linear

    def faulty(logits: list[torch.Tensor], weights: Any, options: Any) -> torch.Tensor:
        return true(logits, weights, options) + torch.zeros(logits[0].shape[-1])

    fused(there)
    monkeypatch.setitem(rules.RULES, "linear", faulty)
    with pytest.raises(WrongDevice, match="add"):
        fused(there)


def test_positions_of_the_cpu_are_seen(
    there: Composer, device: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = reading.positions
    monkeypatch.setattr(reading, "positions", lambda pads, columns: true(pads.cpu(), columns))
    with pytest.raises(WrongDevice):
        fused(there)


def test_the_stand_in_refuses_what_an_accelerator_does(device: Accelerator) -> None:
    away, near = torch.arange(4, device=DEVICE), torch.ones(4, dtype=torch.int64)
    for operation in (
        lambda: away + near,
        lambda: near + away,
        lambda: near.add_(away),
        lambda: torch.cat([away, near]),
        lambda: away.index_select(0, near),
        lambda: away[near],
        lambda: away.data_ptr(),
    ):
        with pytest.raises(WrongDevice):
            operation()
    with pytest.raises(RuntimeError, match="numpy"):
        away.numpy()
    assert (away * torch.tensor(2)).tolist() == [0, 2, 4, 6]  # a number may come from anywhere
    view = away[1:]
    view += 1
    assert away.cpu().tolist() == [0, 2, 3, 4] and not isinstance(away.cpu(), There)
    near.copy_(away)
    assert not isinstance(near, There) and near.tolist() == [0, 2, 3, 4]
