"""The gap closed against repeated draws and a bootstrap, and where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.commands.report import REPORTS
from engine.demo.write import demo_in
from studio.compare.gaps import closed
from tests import headless


def draw(random: np.random.Generator, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """0/1 rows of a point, a start of 0.3 and an end of 0.8 that share what is hard."""
    hard = random.uniform(size=n)
    return tuple((hard + random.normal(0, 0.2, n) < rate).astype(float) for rate in (0.6, 0.3, 0.8))  # type: ignore[return-value]


def test_the_error_is_that_of_repeated_draws_and_of_the_paired_bootstrap() -> None:
    random = np.random.default_rng(0)
    found = [closed(*draw(random)) for _ in range(400)]
    values = np.array([each.value for each in found])
    errors = np.array([each.stderr for each in found])
    assert values.mean() == pytest.approx(0.6, abs=0.02)
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.1)
    own, start, end = draw(random)
    places = random.integers(0, 300, (3000, 300))
    means = [each[places].mean(axis=1) for each in (own, start, end)]
    boot = (means[0] - means[1]) / (means[2] - means[1])
    assert closed(own, start, end).stderr == pytest.approx(boot.std(ddof=1), rel=0.1)


def test_by_hand_whichever_way_better_lies() -> None:
    start, end = np.array([4.0, 2.0, 3.0, 5.0]), np.array([2.0, 1.0, 1.0, 2.0])
    own = np.array([3.0, 2.0, 2.0, 3.0])
    found = closed(own, start, end)
    assert found.value == pytest.approx((2.5 - 3.5) / (1.5 - 3.5)) and found.n == 4
    whole, nothing = closed(end, start, end), closed(start, start, end)
    assert (whole.value, whole.stderr) == (1.0, 0.0) and nothing.value == 0.0
    assert closed(-own, -start, -end).value == found.value


def test_there_is_none_within_the_noise_or_without_values() -> None:
    random = np.random.default_rng(1)
    own, start, _ = draw(random)
    near = np.where(np.arange(300) < 3, 1 - start, start)
    found = closed(own, start, near)
    assert found.value is None and "within the noise" in (found.reason or "")
    assert closed(own, start, start).reason == "the two are the same"
    holes = own.copy()
    holes[0] = np.nan
    assert closed(holes, start, own).reason == "1 of 300 rows have no value"
    assert closed(*(np.array([each]) for each in (1.0, 0.0, 2.0))).value is None
    exact = closed(*(np.array([each]) for each in (1.0, 0.0, 2.0)), exact=True)
    assert (exact.value, exact.stderr) == (0.5, None)


def test_fronts_of_the_demo_say_it_and_wrong_models_are_refused(tmp_path: Path) -> None:
    study = demo_in(tmp_path / "w")
    words = ("--objectives", "facts,fluency", "--device", "cpu")
    ran = headless.run(tmp_path / "w", "front", study, *words, "--gap", "base,helpful")
    document = ran.document
    assert list(document["gap"]) == document["front"]
    helpful = document["gap"]["5dde5800f4a3"]
    assert (helpful["from"], helpful["to"]) == ("base", "helpful")
    assert helpful["objectives"]["facts"]["value"] == 1.0
    assert "of the gap from base to helpful: facts" in REPORTS["front"](document)
    for models, said in (("base,base", "expected two models"), ("base,helpfull", "Did you mean")):
        refused = headless.run(tmp_path / "w", "front", study, *words, "--gap", models)
        assert refused.code == 2 and said in refused.err
