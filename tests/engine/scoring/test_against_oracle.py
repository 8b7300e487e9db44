"""Every scorer on a family of real files, against the oracle's unbatched, cacheless loops."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import engine.decoding
import engine.merging  # noqa: F401  registers what the recipes name
from engine.compose import Composer
from engine.composed import ComposedModel
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve
from engine.scoring.evaluate import evaluate
from engine.scoring.objectives import prepare
from engine.study import load_study
from tests import families, oracle

KEYS = {each["name"]: each for each in families.OBJECTIVES}


class World:
    """A family's files, the study over them, and a composer."""

    def __init__(self, root: Path) -> None:
        self.files = families.build_tied_family(root)
        self.study = load_study(self.files.study("helpful", "terse", target=True))
        self.composer = Composer(open_family(self.study.family), device="cpu")
        self.base = oracle.load(self.files.base)
        self.tokenizer = oracle.load_tokenizer(self.files.base)
        self.ends = oracle.end_tokens(self.files.base, self.tokenizer)

    def compose(self, method: str, parameters: dict[str, object], **c: float) -> ComposedModel:
        recipe = Recipe(method, c, parameters)
        return self.composer.compose(resolve(recipe, self.study.family.names))

    def speaker(self, model: ComposedModel) -> oracle.Speaker:
        """The same mixture for the oracle; a single module speaks for itself."""
        if model.mixture is None:
            return model.modules[0]
        files = self.files
        models = [oracle.load(files.target), oracle.load(files.experts["helpful"]), self.base]
        rows = min(len(model.get_output_embeddings().weight) for model in models)
        return oracle.Fused(models, (1.0, 0.5, -0.5), rows, len(self.tokenizer))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


RECIPES = {
    "base": ("single", {"model": "base"}, {}),
    "merged": ("task_arithmetic", {}, {"helpful": 0.7}),
    "fused": ("proxy_tuning", {}, {"helpful": 0.5}),
}


@pytest.mark.parametrize("name", RECIPES)
def test_every_scorer(world: World, name: str) -> None:
    method, parameters, coefficients = RECIPES[name]
    model = world.compose(method, dict(parameters), **coefficients)
    speaker = world.speaker(model)
    # three models without a cache are slow: one objective a kind of scorer is enough of them
    some = ("has", "pick_bytes", "surprise", "drift", "cost") if name == "fused" else tuple(KEYS)
    objectives = [each for each in prepare(world.study) if each.name in some]
    found = evaluate(model, objectives, base=lambda: world.composer.module("base"))
    names = []
    for objective, score, made in found:
        wanted = oracle.score(
            KEYS[objective.name], world.files.root, speaker, world.tokenizer, world.ends,
            base=world.base,
        )  # fmt: skip
        names.append(objective.name)
        assert score.n == wanted.n
        if min((text.margin for text in wanted.spoken), default=math.inf) < oracle.TIE:
            continue  # another correct evaluation may choose otherwise
        if wanted.spoken:
            told = [oracle.decode(world.tokenizer, text.ids) for text in wanted.spoken]
            assert made["texts"] == [oracle.cut(text, objective.stop) for text in told]
        if objective.scorer == "perplexity":
            values = [math.log(value) for value in score.values if value is not None]
            assert values == pytest.approx(wanted.values, abs=1e-4)
        else:
            assert score.values == pytest.approx(wanted.values, rel=1e-3, abs=1e-4)
        assert score.mean == pytest.approx(wanted.mean, rel=1e-3, abs=1e-4)
        if wanted.stderr is None:
            assert score.stderr is None
        else:
            assert score.stderr == pytest.approx(wanted.stderr, rel=1e-2, abs=1e-4)
    assert names == list(some)


def test_some_values_are_there_to_be_compared(world: World) -> None:
    model = world.compose("single", {"model": "base"})
    means = {
        objective.name: score.mean
        for objective, score, _ in evaluate(
            model, prepare(world.study), base=lambda: world.composer.module("base")
        )
    }
    assert 0.0 < means["exact"] < 1.0 and 0.0 < means["pick"] < 1.0  # type: ignore[operator]
    assert means["drift"] == 0.0 and means["cost"] == 1.0
