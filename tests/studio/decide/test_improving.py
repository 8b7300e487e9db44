"""What the job "improve" is asked, and what it found in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.front.criteria import criteria
from engine.front.preference import Range
from engine.search.surfaces import Surface, document
from studio.decide.improving import payload, sentences
from studio.points.predicting import surfaces
from studio.points.view import axes_of
from studio.workbench import Workbench
from tests.app_fixtures import until, whole

FOUND = {
    "why": "still", "evaluations": 7, "rates": [{"of": "refusals", "in": "facts", "rate": 0.4}],
    "binding": ["helpful is at its lowest"], "unmet": [], "by": {"facts": "models"},
}  # fmt: skip


def test_what_was_found_is_said_in_sentences() -> None:
    assert sentences(FOUND) == [
        "Ended after 7 steps: no small move is better by what was asked.",
        "Here 1 of refusals costs 0.400 of facts.",
        "Held by: helpful is at its lowest.",
    ]
    missed = {"name": "facts + loss", "bound": 2.0, "closest": 1.5}
    said = sentences({**FOUND, "why": "infeasible", "unmet": [missed], "by": {"a": "surface"}})
    assert "cannot be met nearby" in said[0]
    assert "facts + loss misses 2.000: the closest is 1.500." in said
    assert said[-1].startswith("Steps followed the predicted surface of a;")


def test_the_job_is_asked_for_what_the_pick_was(bench: Workbench) -> None:
    measured, axes = bench.measured(), axes_of(bench.objectives)[:1]
    recipe = next(each for each in bench.singles)
    known = [each.name for each in bench.objectives]
    asked = criteria(known, [f"{known[1]} >= 0.25"])
    given = payload(
        bench, measured, recipe, axes, {known[0]: Range(0.8, 0.4)},
        weights={known[0]: 1.0}, bounds={known[0]: (0.5, None)}, criteria=asked,
    )  # fmt: skip
    assert json.loads(json.dumps(given)) == given
    assert given["objectives"] == known[:2] and given["compare"] == known[:1]
    assert given["constraints"] == [f"`{known[0]}` >= 0.5", f"{known[1]} >= 0.25"]
    assert given["ranges"][known[0]] == [0.8, 0.4] and given["measure"] == known


def test_a_surface_is_sent_as_it_is(bench: Workbench) -> None:
    from engine.recipe import Recipe, resolve
    from engine.search.designs import design

    recipes = design(bench.study, "task_arithmetic", 8, "sobol")
    bench.evaluate(recipes, "points", "test")
    until(lambda: (bench.advance(), whole(bench, len(recipes) + len(bench.singles)))[1])
    recipe = resolve(Recipe("task_arithmetic", {}), bench.names)
    known = surfaces(bench.measured(), bench.objectives, recipe, bench.names)
    place = np.full(len(recipe.coefficients), 0.6)
    for surrogate in known.values():
        sent = Surface.of_document(json.loads(json.dumps(document(surrogate))))
        value, slope = sent.at(place)
        assert value == pytest.approx(float(surrogate.predict([place]).mean[0]))
        ahead = surrogate.predict([place + 1e-4 * np.eye(len(place))[0]]).mean[0]
        assert slope[0] == pytest.approx((ahead - value) / 1e-4, rel=1e-2, abs=1e-4)
