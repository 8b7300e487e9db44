"""The hypervolume over evaluations, against the volume of all points so far."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.front.pareto import hypervolume
from engine.recipe import Recipe
from studio.points.view import Axis, Measured
from studio.sweeps import figure as sweep_figure
from studio.sweeps.figure import (
    CHECKPOINTS,
    Curve,
    curve,
    evaluations,
    hypervolume_figure,
    reference_of,
)


def cloud(count: int, objectives: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, objectives))


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_every_checkpoint_is_the_volume_of_the_points_before_it(objectives: int) -> None:
    values = cloud(60, objectives)
    maximize = [k % 2 == 0 for k in range(objectives)]
    reference = np.array([-0.1 if each else 1.1 for each in maximize])
    found = curve(values, maximize, reference)
    assert found.counts == tuple(range(1, 61))
    brute = [hypervolume(values[:at], maximize, reference) for at in found.counts]
    assert found.volumes == pytest.approx(brute, rel=1e-12)


@pytest.mark.parametrize("steps", [(1, 2, 7, 300, 301, 1000), (200, 201, 400, 405)])
def test_a_curve_that_grows_is_the_curve_made_at_once(steps: tuple[int, ...]) -> None:
    values, reference = cloud(1000, 3), np.zeros(3)
    kept: Curve | None = None
    for count in steps:
        kept = curve(values[:count], [True] * 3, reference, kept)
        whole = curve(values[:count], [True] * 3, reference)
        assert kept.counts == whole.counts and len(kept.counts) <= CHECKPOINTS + 1
        assert kept.counts[-1] == count
        assert kept.volumes == pytest.approx(whole.volumes, rel=1e-12)


def test_what_is_known_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    values, reference = cloud(150, 2), np.zeros(2)
    kept = curve(values[:149], [True, True], reference)
    asked = []
    monkeypatch.setattr(sweep_figure, "hypervolume", lambda *a: asked.append(1) or hypervolume(*a))
    curve(values, [True, True], reference, kept)
    assert len(asked) == 1
    for other in (values[::-1], values[:100], values + 1):
        asked.clear()
        curve(other, [True, True], reference, kept)
        assert len(asked) == len(other)
    asked.clear()
    curve(values, [True, True], reference - 1, kept)
    assert len(asked) == 150


def test_the_reference_is_a_tenth_beyond_the_worst_model_and_stays() -> None:
    axes = [Axis("a", True), Axis("b", False)]
    recipes = [Recipe("single", {}, {"model": name}) for name in ("base", "x")]
    recipes += [Recipe("task_arithmetic", {"x": 0.5}, {})] * 2
    mean = np.array([[0.2, 3.0], [0.7, 1.0], [0.1, 9.0], [0.4, np.nan]])
    blank = np.full_like(mean, np.nan)
    measured = Measured(
        ("a", "b"), tuple("stuv"), tuple(recipes), mean, blank, np.ones(mean.shape, int)
    )
    assert reference_of(measured, axes, 2) == pytest.approx([0.15, 3.2])
    assert reference_of(measured, axes, 3) is None
    assert reference_of(Measured(("a", "b"), mean=np.empty((0, 2))), axes, 2) is None
    assert evaluations(measured, axes).tolist() == mean[:3].tolist()
    assert evaluations(measured, axes[:1]).shape == (4, 1)


def test_the_figure_is_json_and_has_no_mark_of_a_recipe() -> None:
    figure = hypervolume_figure(curve(cloud(5, 2), [True, True], np.zeros(2)))
    json.dumps(figure, allow_nan=False)
    assert figure["data"][0]["x"] == [1, 2, 3, 4, 5]
    assert figure["data"][0]["line"]["shape"] == "hv"
    assert "meta" not in figure["layout"]
    alone = hypervolume_figure(curve(cloud(1, 2), [True, True], np.zeros(2)))
    assert alone["data"][0]["mode"] == "markers"
