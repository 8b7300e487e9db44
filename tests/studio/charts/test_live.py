"""The surfaces as the browser gets them: enough to predict what the engine predicts."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from engine.search.surrogate import Surrogate, TooFew, features, fit
from studio.charts import live
from studio.points.view import Axis, measure

NAMES = ("a", "b", "c")


def fitted(link: Any, simplex: bool = False, least: float = -math.inf) -> Surrogate:
    rng = np.random.default_rng(3)
    places = rng.uniform(0.05, 1.2, (40, 3))
    scores = 0.2 + 0.5 / (1 + np.exp(-(places @ [2.0, -1.0, 0.5]))) + rng.normal(0, 0.01, 40)
    count = np.full(40, 200.0)
    return fit(
        NAMES, places, scores, link=link, count=count, stderr=np.full(40, 0.01),
        simplex=simplex, least=least,
    )  # fmt: skip


def predicted(sent: dict[str, Any], row: np.ndarray) -> tuple[float, float]:
    """Centre and half the band on the link's scale, from what is sent."""
    centre = float(row @ sent["beta"])
    first, second = np.triu_indices(len(row))
    variance = float((row[first] * row[second]) @ sent["covariance"]) + sent["scatter"]
    if sent["link"] == "logit":
        edge = 0.5 / (sent["count"] + 1)
        p = min(max(1 / (1 + math.exp(-centre)), edge), 1 - edge)
        return centre, sent["half"] * math.sqrt(variance + sent["noise"] / (p * (1 - p)))
    return centre, sent["half"] * math.sqrt(variance + sent["noise"])


@pytest.mark.parametrize("simplex", [False, True])
@pytest.mark.parametrize("link", ["logit", "log", "identity"])
def test_what_is_sent_predicts_the_same(link: str, simplex: bool) -> None:
    found = fitted(link, simplex)
    sent = json.loads(json.dumps(live.surface(found), allow_nan=False))
    places = np.random.default_rng(5).uniform(0.1, 1.0, (20, 3))
    answer = found.predict(places)
    back = {
        "logit": lambda v: ((sent["count"] + 1) / (1 + math.exp(-v)) - 0.5) / sent["count"],
        "log": math.exp,
        "identity": float,
    }[link]
    for place, row in enumerate(features(places, simplex)):
        centre, half = predicted(sent, row)
        assert back(centre) == pytest.approx(answer.mean[place], abs=1e-6)
        assert back(centre - half) == pytest.approx(answer.low[place], abs=1e-6)
        assert back(centre + half) == pytest.approx(answer.high[place], abs=1e-6)


def test_a_least_value_is_sent_and_none_is_null() -> None:
    assert live.surface(fitted("identity", least=0.0))["least"] == 0.0
    assert live.surface(fitted("identity"))["least"] is None


def test_surfaces_are_packed_once_and_what_has_none_is_left_out() -> None:
    measured = measure([], ("facts", "loss"))
    axes = (Axis("facts", maximize=True), Axis("loss", maximize=False))
    found = {"facts": fitted("logit"), "loss": TooFew(2, 10)}
    data = live.packed(measured, axes, found)
    assert live.packed(measured, axes, found) is data
    sent = json.loads(data)
    assert list(sent["surfaces"]) == ["facts"] and sent["names"] == list(NAMES)
    assert sent["axes"] == [["facts", "facts ↑"], ["loss", "loss ↓"]]
    nothing = json.loads(live.packed(measured, axes, {"facts": TooFew(2, 10)}))
    assert nothing["names"] == [] and nothing["surfaces"] == {}
