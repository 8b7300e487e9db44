"""The job "best", and its command: the optimum is a point like any other, and none is better."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.commands.report import REPORTS
from engine.errors import BadInput
from engine.jobs.inline import InlineExecutor
from engine.worker.messages import Job
from tests import headless
from tests.engine.jobs.small import build_small_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = build_small_study(tmp_path_factory.mktemp("family"), adapter=True)
    document = yaml.safe_load(path.read_text("utf-8"))
    document["objectives"].append({"name": "odd", "data": "rows.jsonl", "scorer": "perplexity"})
    document["objectives"].append(
        {"name": "worst", "data": "rows.jsonl", "scorer": "nll", "direction": "maximize"}
    )
    path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    return path


class Bench:
    def __init__(self, study: Path, executor: InlineExecutor, rows: list[dict[str, Any]]) -> None:
        self.study, self.executor, self.rows = study, executor, rows

    def run(self, kind: str, **payload: Any) -> Any:
        self.rows.clear()
        given = {"study": str(self.study), **payload}
        return self.executor.submit(Job(kind, given, kind)).result(120)


@pytest.fixture(scope="module")
def bench(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    rows: list[dict[str, Any]] = []
    workspace = tmp_path_factory.mktemp("workspace")
    with InlineExecutor(workspace, device="cpu", on_rows=rows.extend) as executor:
        yield Bench(study, executor, rows)


@pytest.mark.parametrize("method", ["proxy_tuning", "arm_guidance", "logit_fusion"])
@pytest.mark.parametrize("objective", ["loss", "odd"])
def test_no_recipe_of_a_sweep_is_better(bench: Bench, method: str, objective: str) -> None:
    found = bench.run("best", method=method, objective=objective)
    assert 0 < found["steps"] < 20
    design = {"method": method, "points": 60, "strategy": "sobol"}
    [recipes] = bench.run("design", designs=[design])["recipes"]
    best = found["recipe"]
    near = []
    for name, value in best["coefficients"].items():
        for moved in (max(0.0, value - 0.03), value + 0.03):
            near.append({**best, "coefficients": {**best["coefficients"], name: moved}})
    bench.run("sweep", recipes=[best, *recipes, *near], objectives=[objective])
    means = [row["mean"] for row in bench.rows]
    high = 2.0 if method != "logit_fusion" else 1.0
    inside = [
        row["mean"] for row in bench.rows if max(row["recipe"]["coefficients"].values()) <= high
    ]
    assert means[0] <= min(inside) * (1 + 1e-7) and means[0] < max(means)


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        ({"method": "proxy_tuning", "objective": "has"}, "not an nll or perplexity"),
        ({"method": "proxy_tuning", "objective": "worst"}, "to be minimized"),
        ({"method": "dexperts", "objective": "loss"}, "not linear"),
        ({"method": "task_arithmetic", "objective": "loss"}, "not linear"),
        ({"method": "single", "objective": "loss"}, "no coefficients"),
        ({"method": "proxy_tunin", "objective": "loss"}, "Did you mean proxy_tuning"),
        (
            {"method": "logit_fusion", "objective": "loss", "parameters": {"kind": "forward_kl"}},
            "not linear",
        ),
    ],
)
def test_what_has_no_such_optimum_is_refused(
    bench: Bench, payload: dict[str, Any], what: str
) -> None:
    with pytest.raises(BadInput, match=what):
        bench.run("best", **payload)


def test_the_command_scores_the_optimum(study: Path, tmp_path: Path) -> None:
    given = ("--method", "proxy_tuning", "--objective", "loss", "--objectives", "loss,cost")
    ran = headless.run(tmp_path, "best", study, *given, "--device", "cpu")
    assert ran.code == 0, ran.err
    found = ran.document
    assert found["steps"] > 0 and set(found["point"]["scores"]) == {"loss", "cost"}
    assert found["point"]["scores"]["loss"]["mean"] == pytest.approx(found["value"], rel=1e-6)
    assert "found in" in REPORTS["best"](found) and found["point"]["id"] in REPORTS["best"](found)
    given = ("--method", "proxy_tuning", "--objective", "has")
    refused = headless.run(tmp_path, "best", study, *given)
    assert refused.code == 2 and "not an nll or perplexity" in refused.err
