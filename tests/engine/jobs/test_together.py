"""Recipes of logit space whose likelihood objectives are measured in one pass of the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.decoding.soundness import Unsound
from engine.decoding.stage import Stage
from engine.jobs import evaluating
from engine.jobs.inline import InlineExecutor
from engine.worker.messages import Job
from tests.engine.jobs.small import build_small_study, recipe
from tests.families import write_lines

SWEPT = ("loss", "perplexity", "none", "chars", "tokens", "unconditional")
CHOICES = [
    {"prompt": "the", "choices": ["cat", "dog sat on", "a"], "answer": 1},
    {"prompt": "a dog sat", "choices": ["on the mat", "under"], "answer": 0},
    {"prompt": "the cat and", "choices": ["the dog", "the dog", "on"], "answer": 2},
]  # fmt: skip


def steered(**coefficients: float) -> dict[str, Any]:
    return {"method": "proxy_tuning", "coefficients": coefficients}


RECIPES = [
    steered(helpful=0.3, terse=1.1),
    steered(helpful=1.7),
    {"method": "arm_guidance", "coefficients": {"helpful": 0.4, "terse": 0.2}},
    recipe(helpful=0.5),
    steered(terse=0.0),
    {"method": "logit_fusion", "coefficients": {"base": 0.2, "helpful": 0.7, "terse": 0.1}},
    {
        "method": "logit_fusion",
        "coefficients": {"base": 0.2, "helpful": 0.7},
        "parameters": {"kind": "forward_kl"},
    },
    {
        "method": "logit_fusion",
        "coefficients": {"base": 0.6, "helpful": 0.3},
        "parameters": {"kind": "forward_kl"},
    },
    steered(helpful=1.7),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("family")
    path = build_small_study(root, adapter=True)
    write_lines(root / "choices.jsonl", CHOICES * 3)
    document = yaml.safe_load(path.read_text("utf-8"))
    document["objectives"] = [
        {"name": "has", "data": "rows.jsonl", "scorer": "contains", "max_new_tokens": 2},
        {"name": "loss", "data": "rows.jsonl", "scorer": "nll"},
        {"name": "perplexity", "data": "rows.jsonl", "scorer": "perplexity"},
        *(
            {"name": each, "data": "choices.jsonl", "scorer": "choice", "normalize": each,
             "report_fraction": 0.0}
            for each in SWEPT[2:]
        ),
    ]  # fmt: skip
    path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    return path


Run = Callable[..., tuple[Any, list[dict[str, Any]]]]


@pytest.fixture
def run(study: Path, tmp_path: Path) -> Iterator[Run]:
    rows: list[dict[str, Any]] = []
    with InlineExecutor(tmp_path, device="cpu", on_rows=rows.extend) as executor:

        def job(recipes: list[dict[str, Any]], **payload: Any) -> Any:
            rows.clear()
            given = {"study": str(study), "recipes": recipes, **payload}
            result = executor.submit(Job("sweep", given, "sweep", "sweep")).result(120)
            return result, list(rows)

        yield job


def scores(rows: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[Any, ...]]:
    kept = ("id", "mean", "stderr", "n", "low", "high", "tokens", "values", "recipe")
    return {(r["point"], r["objective"]): tuple(r[name] for name in kept) for r in rows}


def test_rows_are_those_of_each_recipe_by_itself(run: Run) -> None:
    result, rows = run(RECIPES)
    assert result["errors"] == {}
    together = scores(rows)
    assert len(together) == 8 * 7  # one recipe was given twice
    assert sum(row["objective"] != "has" for row in rows) == 8 * 6
    apart = {}
    for each in RECIPES:
        apart |= scores(run([each])[1])
    assert together == apart
    assert all(row["seconds"] > 0 for row in rows)


def test_the_models_run_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, forward = [], Stage.run

    def counted(self: Stage, *args: Any) -> Any:
        calls.append(self.module)
        return forward(self, *args)

    monkeypatch.setattr(Stage, "run", counted)
    recipes = [steered(helpful=n / 10, terse=0.5) for n in range(1, 21)]
    run(recipes[:1], objectives=["chars"])  # their numbers are looked at once
    for names in (["loss", "perplexity"], ["chars"]):
        calls.clear()
        run(recipes[:1], objectives=names)
        once = len(calls)
        calls.clear()
        run(recipes, objectives=names)
        assert len(calls) == once and once > 2


def test_what_is_there_is_left_out_and_the_rest_measured(run: Run) -> None:
    rows = run(RECIPES[:2], objectives=["loss"])[1]
    have = [row["id"] for row in rows]
    recipes = [*RECIPES[:2], steered(helpful=0.9), steered(helpful=0.8)]
    found = run(recipes, objectives=["loss", "none"], have=have)[1]
    assert sorted(row["objective"] for row in found) == ["loss"] * 2 + ["none"] * 4
    assert not set(have) & {row["id"] for row in found}


def test_where_one_has_no_score_each_is_measured_by_itself(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = [steered(helpful=0.5), steered(helpful=3e38), steered(helpful=0.6)]
    result, rows = run(recipes, objectives=["loss"])
    assert result["errors"] == {}
    means = [row["mean"] for row in rows]
    assert [each is None for each in means] == [False, True, False]
    assert "not finite" in rows[1]["error"]

    def refuse(*_: Any, **__: Any) -> Any:
        raise Unsound("planted")

    monkeypatch.setattr(evaluating, "evaluate_group", refuse)
    again = run([recipes[0], recipes[2]], objectives=["loss"])[1]
    assert [row["mean"] for row in again] == [means[0], means[2]]
