"""The surfaces as the browser gets them."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np
import pytest

from engine.search.least_squares import student
from engine.search.surrogate import Surrogate, TooFew, fit
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


def numbers(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f8")


@pytest.mark.parametrize("simplex", [False, True])
@pytest.mark.parametrize("link", ["logit", "log", "identity"])
def test_a_surface_is_sent_to_the_last_bit(link: str, simplex: bool) -> None:
    found = fitted(link, simplex)
    sent = json.loads(json.dumps(live.surface(found), allow_nan=False))
    assert numbers(sent["beta"]).tolist() == found.beta.tolist()
    factor = numbers(sent["factor"]).reshape(found.factor.shape)  # a row is a column
    assert factor.T.tolist() == found.factor.tolist()
    assert sent["student"] == student(found.freedom)
    for name in ("noise", "scatter", "count", "link", "reach"):
        assert sent[name] == getattr(found, name)
    assert found.box is not None and found.calibration is not None
    assert [numbers(each).tolist() for each in sent["box"]] == found.box.tolist()
    assert sent["caught"] == f" (LOO {100 * found.calibration:.0f} %)"


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
    assert sent["rules"] == {
        "half": 0.5,
        "largest": 700.0,
        "nothing": 1e-12,
        "digits": 3,
        "slack": 1e-6,
    }
    nothing = json.loads(live.packed(measured, axes, {"facts": TooFew(2, 10)}))
    assert nothing["names"] == [] and nothing["surfaces"] == {}
