"""A score of which some rows are there: the others alone are run, and it is that of all rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.scoring.begun import Begun, adds
from engine.scoring.data import limited, read_rows
from engine.scoring.registry import find_scorer
from tests.engine.scoring.test_evaluate import (
    PROMPTS,
    Characters,
    Tiny,
    objective,
    run,
    tiny,
    write,
)


@pytest.fixture(scope="module")
def model() -> Tiny:
    return tiny(1, Characters())


@pytest.mark.parametrize("n", [1, 3, 7])
def test_the_rest_alone_is_run_and_the_score_is_the_same(
    model: Tiny, tmp_path: Path, n: int
) -> None:
    path = write(tmp_path / "d.jsonl", [{"prompt": each, "target": "e"} for each in PROMPTS])
    whole = objective(path, "contains")
    ((expected, all_made),) = run(model, whole)
    ((first, made),) = run(model, replace(whole, limit=n))
    assert made["texts"] is not None and made["tokens"] is not None
    values = tuple(each for each in first.values if each is not None)
    begun = Begun(values, tuple(made["texts"]), made["tokens"], 3.0)
    ((found, rest_made),) = run(model, whole, begun={whole.name: begun})
    assert found == expected
    assert rest_made["texts"] == all_made["texts"] and rest_made["tokens"] == all_made["tokens"]
    assert rest_made["seconds"] >= 3.0

    # what is known is taken as it is, and at its own rows
    planted = Begun((0.25,) * n, ("known",) * n, 0, 0.0)
    ((found, rest_made),) = run(model, whole, begun={whole.name: planted})
    rows = read_rows(whole, "explore")
    known = {row.index for row in limited(rows, n)}
    for row, value, plain, text in zip(
        rows, found.values, expected.values, rest_made["texts"] or (), strict=True
    ):
        assert value == (0.25 if row.index in known else plain)
        assert (text == "known") == (row.index in known)


def test_only_answers_are_added_to() -> None:
    assert adds(find_scorer("contains")) and adds(find_scorer("exact_match"))
    assert not any(adds(find_scorer(each)) for each in ("nll", "perplexity", "cost", "kl_to_base"))
