"""Slopes of likelihoods by merge coefficients are those of finite differences on the live model,
for every linear method of weight space."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml

from engine.compose import Composer
from engine.errors import BadInput
from engine.family.compatibility import open_family
from engine.recipe import METHODS, Recipe, resolve
from engine.scoring.registry import check_objective
from engine.scoring.slopes import MergedSlopes
from engine.study import load_study
from tests.engine.jobs.small import build_small_study
from tests.engine.merging.test_placed import write_class
from tests.families import build_tokenizer, write_lines

OBJECTIVES = (
    {"name": "loss", "data": "rows.jsonl", "scorer": "nll"},
    {"name": "odd", "data": "rows.jsonl", "scorer": "perplexity"},
)
LINEAR = sorted(
    name for name, each in METHODS.items()
    if each.space == "weight" and each.parameters is not None and name != "single"
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = build_small_study(tmp_path_factory.mktemp("slopes"), adapter=True, objectives=OBJECTIVES)
    return load_study(path)


@pytest.fixture(scope="module")
def composer(study):
    return Composer(open_family(study.family), device="cpu")


def slopes_of(study, composer, method, **parameters):
    names = METHODS[method].coefficient_names(study.family.names, parameters)
    values = np.linspace(0.35, 0.6, len(names))
    values = values / values.sum() if METHODS[method].simplex else values
    given = dict(zip(names, values.tolist(), strict=True))
    recipe = resolve(Recipe(method, given, parameters), study.family.names)
    objectives = [check_objective(each, study.path) for each in study.objectives]
    return MergedSlopes(composer, recipe, objectives, lambda: None), values


CURVED = ("breadcrumbs_ties", "dare_ties", "della", "multislerp")
"""What divides by the weights that took part, or by norms."""


@pytest.mark.parametrize("method", sorted({*LINEAR} & {*CURVED}))
def test_methods_that_are_not_linear_are_refused_by_name(study, composer, method):
    with pytest.raises(BadInput, match=f"weights of {method} are not linear"):
        slopes_of(study, composer, method)


@pytest.mark.parametrize("method", sorted({*LINEAR} - {*CURVED}))
def test_they_are_finite_differences(study, composer, method):
    slopes, at = slopes_of(study, composer, method)
    _, found = slopes.at(at.tolist())
    step = 2e-2 if not METHODS[method].simplex else 1e-2
    moves = np.eye(len(at))
    if METHODS[method].simplex:  # along the simplex
        moves = (moves - np.roll(moves, 1, axis=0))[1:]
    for move in moves:
        ahead, behind = (slopes.at((at + s * step * move).tolist())[0] for s in (1, -1))
        more, less = (slopes.at((at + s * step / 2 * move).tolist())[0] for s in (1, -1))
        coarse, fine = (ahead - behind) / (2 * step), (more - less) / step
        expected = (4 * fine - coarse) / 3  # Richardson: float32 forbids small steps
        assert found @ move == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_bands_of_layers_have_slopes_of_their_own_that_add_up(study, composer):
    whole, at = slopes_of(study, composer, "task_arithmetic")
    bands, _ = slopes_of(study, composer, "task_arithmetic", groups=2)
    values, found = whole.at(at.tolist())
    twice = np.repeat(at, 2)
    again, apart = bands.at(twice.tolist())
    assert again == pytest.approx(values, rel=1e-6)
    assert apart.reshape(2, -1, 2).sum(2) == pytest.approx(found, rel=1e-3, abs=1e-5)


def test_the_value_is_the_score(study, composer):
    from engine.scoring.evaluate import evaluate

    slopes, at = slopes_of(study, composer, "task_arithmetic")
    values, _ = slopes.at(at.tolist())
    names = METHODS["task_arithmetic"].coefficient_names(study.family.names, {})
    recipe = Recipe("task_arithmetic", dict(zip(names, at.tolist(), strict=True)))
    model = composer.compose(resolve(recipe, study.family.names))
    objectives = [check_objective(each, study.path) for each in study.objectives]
    scored = {
        objective.name: score.mean
        for objective, score, _ in evaluate(
            model, objectives, "explore", base=lambda: composer.module("base")
        )
    }
    # what is scored is rounded to the checkpoint's dtype
    assert np.log(values) == pytest.approx(np.log([scored["loss"], scored["odd"]]), rel=1e-3)


def test_nothing_is_left_on_the_weights(study, composer):
    slopes, at = slopes_of(study, composer, "task_arithmetic")
    slopes.at(at.tolist())
    assert not any(each.requires_grad for each in composer.merged.module.parameters())
    recipe = resolve(Recipe("task_arithmetic", {"helpful": 0.5}), study.family.names)
    composer.compose(recipe)
    before = {k: v.clone() for k, v in composer.merged.buffers.items()}
    slopes.at(at.tolist())
    composer.compose(recipe)
    assert all(bool((before[k] == v).all()) for k, v in composer.merged.buffers.items())


def test_other_work_within_a_tick_changes_nothing(study, composer):
    """A tick that runs another recipe on the same module, as the scheduler's may."""
    slopes, at = slopes_of(study, composer, "task_arithmetic")
    expected = slopes.at(at.tolist())
    other = resolve(Recipe("task_arithmetic", {"helpful": 1.0}), study.family.names)
    busy = []

    def tick() -> None:
        if not busy and composer.live is not None:
            busy.append(True)
            live = composer.live
            composer.compose(other)
            composer.restore(live)
            busy.clear()

    slopes._tick = tick
    found = slopes.at(at.tolist())
    assert found[0] == pytest.approx(expected[0]) and found[1] == pytest.approx(expected[1])


def test_weights_that_bend_are_refused(study, composer, monkeypatch):
    slopes, _ = slopes_of(study, composer, "task_arithmetic")
    basis = composer.basis(slopes._model.recipe)
    straight = basis.combine

    def bent(name, coefficients, out):
        straight(name, {k: v * v for k, v in coefficients.items()}, out)

    monkeypatch.setattr(basis, "combine", bent)
    with pytest.raises(BadInput, match="not linear"):
        slopes._refuse_curved(basis)


@pytest.mark.parametrize("kind", ["hrm_text", "gpt_neox"])
def test_converted_tensors_have_their_place_and_stopped_gradients_are_refused(tmp_path, kind):
    """hrm_text is converted in groups, and runs all but its last cycles without gradients."""
    write_class(tmp_path, kind, vocab_size=1024)
    for name in ("base", "a", "b"):
        build_tokenizer(tmp_path / name)
    write_lines(tmp_path / "rows.jsonl", [{"prompt": "the old man", "target": "sat"}])
    document = {
        "study": "s", "family": {"base": "base", "experts": {"a": "a", "b": "b"}},
        "objectives": [{"name": "loss", "data": "rows.jsonl", "scorer": "nll"}],
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(document), "utf-8")
    study = load_study(tmp_path / "study.yaml")
    composer = Composer(open_family(study.family), device="cpu")
    given = {"a": 0.4, "b": 0.7}
    recipe = resolve(Recipe("task_arithmetic", given), study.family.names)
    objectives = [check_objective(each, study.path) for each in study.objectives]
    if kind == "hrm_text":
        with pytest.raises(BadInput, match="stops gradients"):
            MergedSlopes(composer, recipe, objectives, lambda: None)
        slopes = MergedSlopes.__new__(MergedSlopes)
        slopes._composer, slopes._tick, slopes._names = composer, lambda: None, ["a", "b"]
        slopes._simplex, slopes._model = False, composer.live
    else:
        slopes = MergedSlopes(composer, recipe, objectives, lambda: None)
    assert bool(composer.merged.groups) == (kind == "hrm_text")
    weights = list(composer.merged.module.parameters())
    drawn = {id(each): torch.randn(each.shape) for each in weights}
    found = slopes._contracted(drawn, given)

    def written(**coefficients):
        basis = composer.basis(recipe)
        composer.merged.write(basis, coefficients, lambda: None, torch.float32)
        return [each.detach().clone() for each in weights]

    start = written(a=0.0, b=0.0)
    for value, end in zip(found, (written(a=1.0, b=0.0), written(a=0.0, b=1.0)), strict=True):
        parts = zip(weights, end, start, strict=True)
        expected = sum(float((drawn[id(w)] * (e - s)).double().sum()) for w, e, s in parts)
        assert value == pytest.approx(expected, rel=1e-3, abs=1e-3)
