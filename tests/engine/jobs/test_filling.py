"""The job "fill": a surface in one pass, its lines and its optima."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.jobs.filling import lines
from engine.jobs.inline import InlineExecutor
from engine.recipe import Recipe, resolve
from engine.study import load_study
from engine.worker.messages import Job
from tests.engine.jobs.small import build_small_study, recipe


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_small_study(tmp_path_factory.mktemp("family"), adapter=True)


@pytest.fixture(scope="module")
def bench(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    rows: list[dict[str, Any]] = []
    place = tmp_path_factory.mktemp("workspace")
    with InlineExecutor(place, device="cpu", on_rows=rows.extend) as executor:

        def fill(recipe: dict[str, Any], **payload: Any) -> tuple[Any, list[dict[str, Any]]]:
            rows.clear()
            given = {"study": str(study), "points": 20, "along": 5, "objectives": ["loss"]}
            job = Job("fill", {**given, "recipe": recipe, **payload}, "fill")
            return executor.submit(job).result(120), list(rows)

        yield fill


@pytest.mark.parametrize("method", ["proxy_tuning", "logit_fusion"])
def test_points_over_the_sliders_along_lines_and_the_best(bench: Any, method: str) -> None:
    given = {"method": method, "coefficients": {"helpful": 0.6, "terse": 0.3}}
    result, rows = bench(given)
    assert result["errors"] == {} and {row["objective"] for row in rows} == {"loss"}
    coefficients = [row["recipe"]["coefficients"] for row in rows]
    assert len(rows) >= 20 + 4 * len(coefficients[0])
    if method == "proxy_tuning":
        assert {each["helpful"] for each in coefficients if each["terse"] == 0.3} >= {
            0.0, 0.5, 0.6, 1.0, 1.5, 2.0,
        }  # fmt: skip
    best = next(row for row in rows if row["point"] == result["best"]["loss"])
    assert best["mean"] == min(row["mean"] for row in rows)


def test_a_kind_without_a_computed_best_is_filled_all_the_same(bench: Any) -> None:
    given = {
        "method": "logit_fusion",
        "coefficients": {"helpful": 0.6, "terse": 0.3},
        "parameters": {"kind": "forward_kl"},
    }
    result, rows = bench(given)
    assert result["best"] == {} and len(rows) > 20


def test_what_cannot_be_measured_at_once_is_refused(bench: Any) -> None:
    with pytest.raises(BadInput, match="texts that a recipe writes"):
        bench({"method": "proxy_tuning", "coefficients": {}}, objectives=["has"])
    with pytest.raises(BadInput, match="no surface"):
        bench(recipe(helpful=1.0))


def test_on_a_simplex_a_line_goes_through_the_recipe_s_proportions(study: Path) -> None:
    loaded = load_study(study)
    given = {"base": 0.2, "helpful": 0.6, "terse": 0.2}
    found = list(lines(loaded, resolve(Recipe("logit_fusion", given), loaded.family.names), 6))
    assert len(found) == 3 * 6
    assert all(abs(sum(each.coefficients.values()) - 1.0) < 3e-4 for each in found)
    assert any(
        all(abs(each.coefficients[name] - value) < 1e-4 for name, value in given.items())
        for each in found
    )
