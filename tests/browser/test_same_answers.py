"""What the browser works out while a hand moves is what Python works out: over many studies, both
are asked the same and give the same, through the bytes that the app sends.

The modules run as they are, on an empty page; nothing is served.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

from engine.front.preference import TIE
from engine.recipe import Names, Recipe, resolve
from engine.study import Objective
from pages.panels.explore.pad import packed
from studio.charts import live
from studio.decide.front import front_over
from studio.decide.picking import pick
from studio.decide.preference import STEPS, Preference, equal, placed, rebalanced
from studio.points import predicting
from studio.points.view import Axis, Measured, axes_of
from studio.points.words import readout
from ui.components import HERE

pytestmark = pytest.mark.browser

RUN = """async ([files, asked]) => {
    const load = (text) => import('data:text/javascript;charset=utf-8,' + encodeURIComponent(text));
    const { chooser, equal, placed, rebalanced } = await load(files.picking);
    const { predicted, unpacked } = await load(files.predicting);
    const picks = asked.picks.map(([data, weights]) => {
        const front = JSON.parse(data);
        const choose = chooser(front);
        return weights.map((each) => front.ids[choose(each)]);
    });
    const moves = asked.moves.map(([count, rules, locked, steps]) => {
        let state = equal(count, rules);
        return steps.map(([place, value]) => {
            state = place === null ? placed(state, locked, value, rules)
                                   : rebalanced(state, locked, place, value, rules);
            return [state.weights, state.exact];
        });
    });
    const predictions = asked.predictions.map(([data, places]) => {
        const model = unpacked(data);
        return places.map((each) => predicted(model, each));
    });
    return { picks, moves, predictions };
}"""

EXPERTS = ("a", "b", "c", "d", "e")
OBJECTIVES = (
    Objective("facts", "exact_match", Path("facts.jsonl"), "maximize"),
    Objective("loss", "nll", Path("loss.jsonl"), "minimize"),
    Objective("cost", "cost", None, "minimize"),
)


def study(rng: np.random.Generator, kind: str, objectives: int) -> tuple[Measured, list[Axis]]:
    """Points on so many objectives, some of which are to be made small.

    Args:
        kind: "ties" for values that repeat; "near" for terms that differ by about the tie; "flat"
            for an objective that is the same everywhere; "missing" for scores that are not there.
    """
    mean = rng.normal(size=(int(rng.integers(1, 120)), objectives))
    if kind == "ties":
        mean = mean.round(1)
    if kind == "near":
        mean = mean[:1] + rng.choice([-2, -1, -0.5, 0, 0.5, 1, 2], size=mean.shape) * TIE
        mean = np.vstack([mean, np.eye(objectives), -np.eye(objectives)])
    if kind == "flat":
        mean[:, 0] = 0.25
    if kind == "missing":
        mean[rng.random(mean.shape) < 0.2] = np.nan
    names = tuple(f"objective {each}" for each in range(objectives))
    axes = [Axis(name, bool(rng.random() < 0.5)) for name in names]
    recipes = tuple(Recipe("pcb", {"a": 0.01 * each}) for each in range(len(mean)))
    ids = tuple(f"p{each}" for each in range(len(mean)))
    error = np.full(mean.shape, 0.02)
    return Measured(names, ids, recipes, mean, error, np.full(mean.shape, 40)), axes


def hundredths(rng: np.random.Generator, count: int) -> list[int]:
    """Weights that sum to one; often one or two alone, or all alike."""
    concentration = float(rng.choice([0.1, 1.0, 100.0]))
    found: list[int] = rng.multinomial(STEPS, rng.dirichlet([concentration] * count)).tolist()
    return found


def picks(rng: np.random.Generator) -> Iterator[tuple[str, list[list[int]], list[str]]]:
    """What the browser is sent, weights in hundredths, and the ids that Python picks."""
    for turn in range(120):
        kind = ("plain", "ties", "near", "flat", "missing")[turn % 5]
        measured, axes = study(rng, kind, int(rng.integers(1, 9)))
        over = axes[: int(rng.integers(1, len(axes) + 1))]
        ends = (None, *np.nanquantile(measured.mean, [0.02, 0.3, 0.7]).tolist(), 50.0)
        bounds = {
            axis.name: (ends[int(rng.integers(5))], ends[int(rng.integers(5))])
            for axis in axes
            if rng.random() < 0.3
        }
        other, _ = study(rng, "plain", len(axes))
        frozen = front_over(other, over).ranges if rng.random() < 0.3 else None
        weights, found, front = [], [], None
        for _ in range(12):
            asked = hundredths(rng, len(over))
            named = {axis.name: each / STEPS for axis, each in zip(over, asked, strict=True)}
            chosen = pick(measured, over, Preference(named), bounds, frozen, axes)
            if chosen is None:
                continue
            assert np.isfinite(chosen.front.values).all()  # what lacks a score is no member
            front = chosen.front
            weights.append(asked)
            found.append(measured.ids[chosen.row])
        if front is not None:
            yield packed(measured, front).decode(), weights, found


def moves(rng: np.random.Generator, rules: dict[str, Any]) -> Iterator[tuple[Any, list[Any]]]:
    """A hand on sliders and pad, and the weights that Python has after each move."""
    for _ in range(120):
        names = [str(each) for each in range(int(rng.integers(2, 9)))]
        locked = (rng.random(len(names)) < 0.2).tolist()
        now = equal(names)
        for name, each in zip(names, locked, strict=True):
            now = now.lock(name, each)
        steps: list[Any] = []
        found: list[Any] = []
        for _ in range(15):
            if rng.random() < 0.3:
                asked = rng.dirichlet([0.5] * len(names)) * float(rng.choice([0.0, 1.0, 100.0]))
                steps.append([None, asked.tolist()])
                now = placed(now, dict(zip(names, asked.tolist(), strict=True)))
            else:
                place, value = int(rng.integers(len(names))), int(rng.choice([0, 100, 37, 50, 99]))
                steps.append([place, value])
                now = rebalanced(now, names[place], value / STEPS)
            exact = now.exact or now.weights
            found.append([list(now.hundredths.values()), [exact[name] for name in names]])
        yield (len(names), rules, locked, steps), found


def predictions(rng: np.random.Generator) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """What the browser is sent, coefficients, and what Python says: values, bands and lines."""
    axes = axes_of(OBJECTIVES)
    for turn in range(36):
        method = ("task_arithmetic", "linear", "proxy_tuning", "pcb")[turn % 4]
        names = Names(EXPERTS[: 1 + turn % 5], has_target=bool(turn % 2))
        bands = {"groups": 2} if turn % 3 == 1 and method != "proxy_tuning" else {}
        blank = resolve(Recipe(method, dict.fromkeys(names.experts, 0.5), bands), names)
        labels = tuple(blank.coefficients)

        def mixture(
            method: str = method, names: Names = names, labels: tuple[str, ...] = labels,
            bands: dict[str, int] = bands,
        ) -> Recipe:  # fmt: skip
            place = rng.uniform(0.05, 1.2, len(labels)).round(2).tolist()
            return resolve(Recipe(method, dict(zip(labels, place, strict=True)), bands), names)

        far = mixture()
        far = Recipe(method, {name: 3.0 * (name == labels[0]) or 0.1 for name in labels}, bands)
        recipes = tuple(mixture() for _ in range(int(rng.integers(12, 60))))
        places = np.array([list(each.coefficients.values()) for each in recipes])
        bent = places @ rng.normal(size=len(labels)) - 0.8 * (places**2).sum(axis=1)
        bent = bent + rng.normal(0.0, 0.05, len(bent))
        facts = np.round(40 / (1 + np.exp(-rng.choice([1, 30]) * bent))) / 40  # also all 0 and 1
        cost = np.full(len(bent), rng.choice([1.0625, 3.0, 0.1]))
        mean = np.column_stack([facts, np.exp(rng.choice([1, 40]) * bent), cost])
        mean[rng.random(mean.shape) < 0.1] = np.nan
        ids = tuple(str(each) for each in range(len(mean)))
        measured = Measured(
            tuple(each.name for each in OBJECTIVES), ids, recipes, mean,
            np.abs(mean) * 0.05, np.full(mean.shape, 40), exact=frozenset({"cost"}),
        )  # fmt: skip
        asked: list[Any] = []
        found: list[Any] = []
        for each in (*(mixture() for _ in range(8)), far, blank):
            here = dict(each.coefficients)
            if rng.random() < 0.3:
                here[labels[0]] = 0.0  # on the edge, where what is counted jumps
            recipe = Recipe(method, here, each.parameters)
            told = predicting.predict(measured, OBJECTIVES, recipe, names)
            near = measured.nearest(recipe)
            if told and near is not None and not near.exact:
                trust = predicting.trust(measured, OBJECTIVES, recipe, names)
                shown = readout(measured, axes, recipe, told, trust=trust)
                asked.append(here)
                found.append([told, shown["lines"], shown["note"], shown["mark"]["label"]])
        known = predicting.surfaces(measured, OBJECTIVES, blank, names)
        if found:
            yield live.packed(measured, axes, known).decode(), asked, found


def test_the_browser_answers_as_python_does(chrome: Browser) -> None:
    rng = np.random.default_rng(11)
    picked = list(picks(rng))
    moved = list(moves(rng, json.loads(picked[0][0])["rules"]))
    foretold = list(predictions(rng))
    files = {
        name: (HERE / f"{name}.js").read_text(encoding="utf-8")
        for name in ("picking", "predicting")
    }
    asked = {
        "picks": [[data, weights] for data, weights, _ in picked],
        "moves": [list(each) for each, _ in moved],
        "predictions": [[data, places] for data, places, _ in foretold],
    }
    page = chrome.new_page()
    answer = page.evaluate(RUN, [files, asked])
    page.close()
    assert answer["picks"] == [ids for *_, ids in picked]
    assert answer["moves"] == [found for _, found in moved]
    same = outside = 0
    for (_, places, said), heard in zip(foretold, answer["predictions"], strict=True):
        for place, (told, lines, note, label), mark in zip(places, said, heard, strict=True):
            assert mark["mark"]["coefficients"] == place
            assert (mark["note"], mark["mark"]["label"]) == (note, label)
            outside += label == "predicted, extrapolated"
            if max(abs(each) for numbers in told.values() for each in numbers) < 1e6:
                assert mark["lines"] == lines
                same += 1
            values, bands = mark["mark"]["values"], mark["mark"]["bands"]
            assert set(values) == set(bands) == set(told)
            for name, numbers in told.items():
                here = [float(each) for each in (values[name], *bands[name])]
                np.testing.assert_allclose(here, numbers, rtol=1e-12, atol=1e-12)
    assert same > 100 and 30 < outside < sum(len(places) for _, places, _ in foretold)
