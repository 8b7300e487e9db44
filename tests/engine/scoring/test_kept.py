"""Scores and answers from what the models said before: the same, and without running them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.compose import Composer
from engine.decoding.loop import Kept
from engine.family.compatibility import open_family
from engine.jobs.comparing import compare_texts
from engine.jobs.generating import generate_texts
from engine.jobs.models import Models
from engine.recipe import Recipe, resolve
from engine.scoring.evaluate import evaluate
from engine.study import Study, load_study
from tests.families import build_tied_family

RECIPES = (
    Recipe("proxy_tuning", {"helpful": 0.8, "padded": 0.3}),
    Recipe("proxy_tuning", {"helpful": 0.8, "padded": 0.301}),
    Recipe("proxy_tuning", {"helpful": 1.6, "padded": 0.3}),
    Recipe("proxy_tuning", {"helpful": 0.8}),
    Recipe("logit_fusion", {"base": 0.5, "helpful": 0.3, "padded": 0.2}),
    Recipe("logit_fusion", {"base": 0.5, "helpful": 0.3, "padded": 0.2}, {"kind": "forward_kl"}),
    Recipe("dexperts", {"helpful": 0.8, "padded": 0.3}),
    Recipe("dynamic_fusion", {"helpful": 1.0, "padded": 1.0}, {"step": 0.5}),
    Recipe("gated", {"helpful": 0.8, "threshold": 2.5}),
    Recipe("single", {}, {"model": "target"}),
    Recipe("task_arithmetic", {"helpful": 0.7}),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    files = build_tied_family(tmp_path_factory.mktemp("kept"))
    return load_study(files.study("helpful", "padded", target=True))


def test_a_score_does_not_depend_on_what_is_kept(study: Study) -> None:
    composer = Composer(open_family(study.family), device="cpu")
    asked = [replace(each, limit=4) for each in study.objectives if each.name in ("has", "drift")]
    assert len(asked) == 2

    def scores(recipe: Recipe, **options: Any) -> list[Any]:
        model = composer.compose(resolve(recipe, composer.family.names))
        rows = evaluate(model, asked, base=lambda: composer.module("base"), **options)
        return [(score.values, metadata["texts"]) for _, score, metadata in rows]

    fresh = [scores(each) for each in RECIPES]
    for order in (range(len(RECIPES)), reversed(range(len(RECIPES)))):
        for n in order:
            assert scores(RECIPES[n], kept=Kept(composer.prefixes)) == fresh[n], RECIPES[n]
    assert composer.prefixes.bytes > 0


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Models]:
    found = Models(tmp_path, "cpu")
    yield found
    found.close()


def test_a_move_runs_no_model(study: Study, models: Models) -> None:
    asked = {"study": str(study.path), "prompts": ["the sea", "a man is"], "max_new_tokens": 8}

    def recipe(weight: float) -> dict[str, Any]:
        return {"method": "proxy_tuning", "coefficients": {"helpful": weight, "padded": 0.3}}

    said: list[Any] = []

    def tell(kind: str, data: Any = None) -> None:
        said.append((kind, data))

    def ask(weight: float) -> list[Any]:
        payload = {**asked, "recipe": recipe(weight)}
        return list(generate_texts(models, payload, tell, lambda: None)["outputs"])  # type: ignore[arg-type]

    def compare(*weights: float) -> list[Any]:
        payload = {**asked, "recipes": [recipe(each) for each in weights]}
        found = compare_texts(models, payload, tell, lambda: None)  # type: ignore[arg-type]
        return [[out["token_ids"] for out in each["outputs"]] for each in found["columns"]]

    first = ask(0.5)
    [opened] = models.families._open.values()
    ran: list[int] = []
    for module in opened.composer._modules.values():
        module.register_forward_pre_hook(lambda *_: ran.append(1))
    assert ask(0.5001) == first and not ran
    assert compare(0.5, 0.50001) == [[each["token_ids"] for each in first]] * 2 and not ran
    texts = [data["texts"] for kind, data in said if kind == "text"]
    assert texts[-1] == {"2": first[0]["text"], "3": first[1]["text"]}
    assert ask(3.0) != first and ran
