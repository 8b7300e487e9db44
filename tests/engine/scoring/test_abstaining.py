"""Two-sided abstention against the two shares by hand, and its error against repeated draws."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.errors import BadInput
from engine.scoring.abstaining import abstention
from engine.scoring.data import read_rows
from engine.scoring.registry import find_scorer
from engine.scoring.scores import Score, summarise
from engine.study import Objective

SCORER = find_scorer("abstention")


def row(label: str) -> Any:
    return SimpleNamespace(targets=(label,))


@pytest.mark.parametrize(
    ("text", "abstains"),
    [
        ("I don't know.", True),
        ("Sorry, but there is not enough information to say.", True),
        ("Unfortunately, the passage does not mention her age.", True),
        ("I cannot help with that.", True),
        ("Unknown.", True),
        ("She is 41.", False),
        ("Paris. It is well known that he did not know it.", False),
        ("Unknowns are written x and y.", False),
        ("No, it is Rome.", False),
    ],
)
def test_an_abstention_is_right_where_there_is_no_answer(text: str, abstains: bool) -> None:
    assert abstention(text, row("unanswerable")) == float(abstains)
    assert abstention(text, row(" Answerable")) == float(not abstains)


def test_an_empty_answer_is_wrong_on_both_sides_and_phrases_can_be_ones_own() -> None:
    assert abstention(" \n", row("answerable")) == abstention("", row("unanswerable")) == 0.0
    assert abstention("Pass.", row("no"), phrases=("pass",)) == 1.0
    assert abstention("I don't know.", row("no"), phrases=("pass",)) == 0.0


def scored(right: np.ndarray, sides: np.ndarray) -> Score:
    rows = [row("yes" if side else "no") for side in sides]
    return summarise(SCORER, list(right), None, rows, {})


def test_both_sides_count_alike_however_many_rows_they_have() -> None:
    sides = np.array([1, 1, 1, 1, 1, 1, 0, 0])
    right = np.array([1.0, 1, 1, 0, 0, 0, 1, 1])
    score = scored(right, sides)
    assert score.mean == pytest.approx((3 / 6 + 2 / 2) / 2)
    values = np.array([each or 0.0 for each in score.values])
    assert score.mean == pytest.approx(values.mean())
    assert ((values > 0.5) == (right == 1)).all()


def test_the_error_is_that_of_repeated_draws_and_never_0() -> None:
    random, sides = np.random.default_rng(0), np.array([1] * 150 + [0] * 30)
    scores = [
        scored((random.uniform(size=180) < np.where(sides, 0.9, 0.6)).astype(float), sides)
        for _ in range(300)
    ]
    spread = np.std([each.mean for each in scores], ddof=1)
    assert np.mean([each.stderr for each in scores]) == pytest.approx(spread, rel=0.1)
    perfect = scored(np.ones(180), sides)
    assert perfect.mean == perfect.high == 1.0
    assert perfect.stderr and perfect.low and perfect.low < 1.0


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["answerable", "perhaps"], "'perhaps' does not say whether"),
        (["answerable", "yes"], "all 2 rows are answerable"),
    ],
)
def test_rows_that_do_not_say_or_are_one_sided_are_refused(
    tmp_path: Path, labels: list[str], said: str
) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"q{n}", "target": each} for n, each in enumerate(labels)]
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(BadInput, match=said):
        read_rows(Objective("a", "abstention", path, report_fraction=0.0), "explore")
