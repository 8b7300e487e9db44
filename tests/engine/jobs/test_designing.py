"""Designs and the time of a point, by the real service on a small family."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.jobs.inline import InlineExecutor
from engine.recipe import Names, recipe_from_dict, resolve
from engine.search.designs import design
from engine.study import load_study
from engine.worker.messages import Job
from tests.engine.jobs.small import build_small_study, recipe


class Bench:
    """The service in this process, and the rows that it gave."""

    def __init__(self, study: Path, workspace: Path) -> None:
        self.study = study
        self.rows: list[dict[str, Any]] = []
        self.executor = InlineExecutor(workspace, device="cpu", on_rows=self.rows.extend)

    def run(self, kind: str, **payload: Any) -> Any:
        self.rows.clear()
        job = Job(kind, {"study": str(self.study), **payload}, kind)
        return self.executor.submit(job).result(60)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: Any) -> Iterator[Bench]:
    study = build_small_study(tmp_path_factory.mktemp("family"), adapter=True)
    found = Bench(study, tmp_path_factory.mktemp("workspace"))
    with found.executor:
        yield found


def test_designs_are_those_of_the_command_line(bench: Bench) -> None:
    asked = [
        {"method": "pcb", "points": 5, "strategy": "grid", "parameters": {"ratio": 0.2}},
        {"method": "linear", "points": 6, "strategy": "sobol", "seed": 3},
    ]
    grid, sobol = bench.run("design", designs=asked)["recipes"]
    study = load_study(bench.study)
    expected = design(study, "linear", 6, "sobol", 3)
    assert [recipe_from_dict(each) for each in sobol] == expected
    assert len(grid) == 4
    assert {each["parameters"]["ratio"] for each in grid} == {0.2}
    assert grid != [each.as_dict() for each in design(study, "pcb", 5, "grid")]


@pytest.mark.parametrize(
    ("designs", "what"),
    [
        ([], "no designs"),
        ("grid", "no designs"),
        ([{"method": "pcb"}], "expected method, points and strategy"),
        ([{"method": "pbc", "points": 4, "strategy": "grid"}], "Did you mean pcb"),
        ([{"method": "single", "points": 4, "strategy": "grid"}], "no coefficients"),
        ([{"method": "pcb", "points": 0, "strategy": "grid"}], "expected 1 or more"),
        (
            [{"method": "pcb", "points": 4, "strategy": "grid", "parameters": {"ratio": 7}}],
            "out of range",
        ),
    ],
)
def test_a_design_that_cannot_be_is_said(bench: Bench, designs: Any, what: str) -> None:
    with pytest.raises(BadInput, match=what):
        bench.run("design", designs=designs)


def test_an_estimate_measures_one_recipe_of_each_group(bench: Bench) -> None:
    groups = [
        [recipe(helpful=0.3), recipe(helpful=0.4)],
        [{"method": "pcb", "coefficients": {"helpful": 0.3, "terse": 0.5}}],
        [{"method": "logit_fusion", "coefficients": {"helpful": 0.5, "terse": 0.5}}],
    ]
    result = bench.run("estimate", groups=groups, objectives=["has", "cost"])
    names = Names(("helpful", "terse"))
    measured = [resolve(recipe_from_dict(group[0]), names) for group in groups]
    assert [row["recipe"] for row in bench.rows] == [
        each.as_dict() for each in measured for _ in range(2)
    ]
    for timing, first in zip(result["timings"], range(0, 6, 2), strict=True):
        rows = bench.rows[first : first + 2]
        assert timing["objectives"] == {row["objective"]: row["seconds"] for row in rows}
        assert timing["prepare"] >= 0 and timing["compose"] > 0 and timing["error"] is None
    again = bench.run(
        "estimate", groups=groups[:1], objectives=["has", "loss"], have=[bench.rows[0]["id"]]
    )
    assert list(again["timings"][0]["objectives"]) == ["loss"]


def test_preparation_is_what_the_second_composing_does_not_need(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 7.0, 10.0, 12.0, *[50.0] * 1000])
    monkeypatch.setattr("engine.jobs.designing.time.perf_counter", lambda: next(clock))
    result = bench.run("estimate", groups=[[recipe(helpful=0.6)]], objectives=["cost"])
    assert result["timings"][0]["prepare"] == 5.0 and result["timings"][0]["compose"] == 2.0


def test_a_recipe_that_fails_is_a_row_and_the_next_is_measured(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = [[recipe(helpful=1e39), recipe(helpful=0.7)], [recipe(helpful=2e39)]]
    result = bench.run("estimate", groups=groups, objectives=["loss"])
    assert [row["kind"] for row in bench.rows] == ["failure", "score", "failure"]
    good, bad = result["timings"]
    assert good["error"] is None and list(good["objectives"]) == ["loss"]
    assert bad["error"] == bench.rows[2]["error"] and bad["objectives"] == {}


def test_a_recipe_measured_already_takes_no_time(bench: Bench) -> None:
    group = [recipe(helpful=0.8)]
    bench.run("estimate", groups=[group], objectives=["cost"])
    have = [row["id"] for row in bench.rows]
    result = bench.run("estimate", groups=[group], objectives=["cost"], have=have)
    assert result["timings"][0]["objectives"] == {} and bench.rows == []
