"""Fused texts of models that compute in bfloat16, beside float32 of the same weights.

The two may part only where float32's two best logits are nearer than twice what rounding moved a
logit by; on the demo that is a few texts of a hundred, and hardly moves a score.
"""

from __future__ import annotations

import pytest
import torch

from engine.compose import Composer
from engine.decoding.batch import Batch
from engine.decoding.inputs import CANONICAL, no_tick
from engine.decoding.loop import generate
from engine.demo.write import FAMILY
from engine.family.compatibility import Family, open_family
from engine.recipe import Recipe, resolve
from engine.scoring.data import read_rows
from engine.scoring.evaluate import evaluate
from engine.scoring.registry import check_objective
from engine.study import load_study

STUDY = load_study(FAMILY / "study.yaml")
NEW = 12
RECIPES = {
    "facts": Recipe("proxy_tuning", {"helpful": 0.6, "honest": 0.7}),
    "honesty": Recipe("logit_fusion", {"helpful": 0.2, "honest": 0.8}),
    "refusals": Recipe("dynamic_fusion", {"harmless": 1.0}),
}


@pytest.fixture(scope="module")
def family() -> Family:
    return open_family(STUDY.family)


@pytest.fixture(scope="module")
def composers(family: Family) -> list[Composer]:
    """In float32, then in bfloat16."""
    dtypes = ("float32", "bfloat16")
    return [Composer(family, device="cpu", compute_dtype=each) for each in dtypes]


@pytest.mark.parametrize("name", RECIPES)
def test_texts_part_only_where_rounding_can_part_them(composers: list[Composer], name: str) -> None:
    rows = read_rows(check_objective(STUDY.objective(name)), "explore")[:64]
    recipe = resolve(RECIPES[name], composers[0].family.names)
    models = [each.compose(recipe) for each in composers]
    text = composers[0].text
    prompts = [text.encode(str(row.prompt), chat=True) for row in rows]
    exact, rounded = (
        generate(each, prompts, max_new_tokens=NEW, end_ids=text.end_ids) for each in models
    )
    parted = 0
    for prompt, one, other in zip(prompts, exact, rounded, strict=True):
        pairs = zip((*one.token_ids, -1), (*other.token_ids, -1), strict=False)
        where = next((n for n, (a, b) in enumerate(pairs) if a != b), None)
        if where is None:
            continue
        parted += 1
        both = [*prompt, *one.token_ids[:where]]
        logits = [logits_after(each, both) for each in models]
        known = torch.isfinite(logits[0])
        error = float((logits[0] - logits[1])[known].abs().max())
        best = logits[0].topk(2).values
        assert float(best[0] - best[1]) <= 2 * error
        if models[0].mixture is not None and not models[0].mixture.chosen:
            assert error < 0.5  # a strength that is chosen may jump, and all logits with it
    assert parted <= len(prompts) // 8


def logits_after(model: object, ids: list[int]) -> torch.Tensor:
    """Fused logits behind a text, read in one go; float32 [vocabulary]."""
    batch = Batch(model, [ids], CANONICAL, no_tick)  # type: ignore[arg-type]
    *_, (_, logits) = batch.read()
    return logits[0, -1]


@pytest.mark.parametrize("name", RECIPES)
def test_a_score_moves_by_less_than_its_error(composers: list[Composer], name: str) -> None:
    recipe = resolve(RECIPES[name], composers[0].family.names)
    asked = [check_objective(STUDY.objective(name))]
    scores = []
    for each in composers:
        base = each.module
        [(_, score, _)] = evaluate(each.compose(recipe), asked, base=lambda base=base: base("base"))
        assert score.mean is not None
        scores.append(score)
    assert scores[0].stderr is not None and 0 < scores[0].mean < 1
    assert abs(scores[0].mean - scores[1].mean) <= scores[0].stderr
