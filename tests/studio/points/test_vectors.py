"""Relative norms and cosines from inner products, and the figures and tables of them."""

from __future__ import annotations

import numpy as np
import pytest

from studio.points import vectors
from studio.points.vectors import Geometry
from studio.workbench import Workbench
from tests.pages import toy


def geometry(groups: int = 3) -> Geometry:
    """Vectors a = (3, 0), b = (0, 4) in the first group, a = b = (1, 0) in the second; in the rest
    b is zero."""
    products = [[[9.0, 0.0], [0.0, 16.0]], [[1.0, 1.0], [1.0, 1.0]]]
    products += [[[4.0, 0.0], [0.0, 0.0]]] * (groups - 2)
    names = ["embedding", *(f"layer {k}" for k in range(groups - 2)), "head"]
    row = {"experts": ["a", "b"], "groups": names, "base": [25.0] * groups, "products": products}
    return Geometry.of(row)


def test_relative_norms_of_all_and_of_each_group() -> None:
    found = geometry().relative_norms()
    assert found[0] == pytest.approx([np.sqrt(14 / 75), 0.6, 0.2, 0.4])
    assert found[1] == pytest.approx([np.sqrt(17 / 75), 0.8, 0.2, 0.0])


def test_a_norm_where_the_base_is_zero_does_not_exist() -> None:
    row = {"experts": ["a"], "groups": ["other"], "base": [0.0], "products": [[[1.0]]]}
    assert np.isnan(Geometry.of(row).relative_norms()).all()
    assert vectors.norms_table(Geometry.of(row))[1] == {"part": "other", "a %": None}


def test_cosines_of_all_and_of_one_group() -> None:
    found = geometry()
    assert found.cosines("embedding").tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert found.cosines("layer 0").tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert found.cosines()[0, 1] == pytest.approx(1 / np.sqrt(14 * 17))
    alone = found.cosines("head")
    assert alone[0, 0] == 1.0 and np.isnan(alone[0, 1]) and np.isnan(alone[1, 1])


def test_experts_come_in_the_order_asked_for() -> None:
    found = geometry().ordered(("b", "a"))
    assert found.experts == ("b", "a")
    assert found.relative_norms()[0] == pytest.approx(geometry().relative_norms()[1])
    assert found.products[0].tolist() == [[16.0, 0.0], [0.0, 9.0]]


def test_the_heat_map_has_its_numbers_on_the_cells() -> None:
    [trace] = vectors.norms_figure(geometry())["data"]
    assert trace["y"] == ["a", "b"] and trace["x"] == ["all tensors", "embedding", "0", "head"]
    assert trace["text"][0] == ["43", "60", "20", "40"] and trace["text"][1][-1] == "0"
    assert trace["texttemplate"] == "%{text}" and trace["zmin"] == 0.0


def test_many_layers_stand_below_each_other() -> None:
    figure = vectors.norms_figure(geometry(groups=40))
    [trace] = figure["data"]
    assert trace["x"] == ["a", "b"] and len(trace["y"]) == len(trace["text"]) == 41
    assert figure["layout"]["height"] > 41 * 20


def test_a_cosine_that_does_not_exist_is_no_number() -> None:
    [trace] = vectors.cosines_figure(geometry(), "head")["data"]
    assert trace["z"][1] == [None, None] and trace["text"][1] == ["–", "–"]
    assert (trace["zmin"], trace["zmax"]) == (-1.0, 1.0)
    assert vectors.cosines_table(geometry(), "head")[1] == {"expert": "b", "a": None, "b": None}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.00123, "0.12"), (0.0456, "4.6"), (0.31, "31"), (1.5, "150"), (np.nan, "–")],
)
def test_percentages_have_two_digits_that_count(value: float, text: str) -> None:
    assert vectors._percent(value) == text


def test_the_record_of_this_family_is_found_and_looked_for_only_when_rows_came(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    records = bench.store.records
    monkeypatch.setattr(bench.store, "records", lambda *a: calls.append(a) or records(*a))
    assert vectors.geometry_of(bench) is None and vectors.geometry_of(bench) is None
    assert len(calls) == 1
    row = {
        "kind": "geometry", "id": "other", "family": "0" * 64, "experts": ["helpful", "terse"],
        "groups": ["other"], "base": [1.0], "products": [[[1.0, 0.0], [0.0, 1.0]]],
    }  # fmt: skip
    bench.store.append([row])
    assert vectors.geometry_of(bench) is None
    mine = {"id": toy.FAMILY, "family": toy.FAMILY, "experts": ["terse", "helpful"]}
    bench.store.append([row | mine])
    found = vectors.geometry_of(bench)
    assert found is not None and found.experts == ("helpful", "terse")
    assert vectors.geometry_of(bench) is found
