"""Length, distinct-n and self-BLEU against nltk's numbers and a plain jackknife."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.scoring.diversity import distinct_n, grams, length, self_bleu
from engine.scoring.registry import find_scorer
from engine.scoring.scores import summarise
from tests.engine.scoring.test_evaluate import (
    PROMPTS,
    Tiny,
    data,
    model,
    objective,
    run,
    text,
)

__all__ = ["data", "model", "text"]

GOLDEN = Path(__file__).parents[2] / "golden" / "scoring" / "diversity.json"
CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]


def seen(*texts: str) -> Any:
    return SimpleNamespace(texts=texts, tokens=tuple(map(len, texts)))


@pytest.mark.parametrize("case", CASES)
def test_nltk_gives_the_same(case: dict[str, Any]) -> None:
    answers, n = seen(*case["texts"]), case["n"]
    assert self_bleu(answers, None, n=n) == pytest.approx(case["self_bleu"], abs=1e-12)
    assert distinct_n(answers, None, n=n) == pytest.approx(case["distinct"], abs=1e-12)


def test_what_says_nothing_has_neither_length_nor_variety_nor_likeness() -> None:
    assert length(seen(""), None, count="words") == length(seen(""), None) == 0.0
    assert distinct_n(seen("", ""), None) == 0.0 and self_bleu(seen("", ""), None) == 0.0
    assert length(seen(" two  words\n"), None, count="words") == 2.0


def test_the_error_of_the_whole_set_is_that_of_leaving_prompts_out() -> None:
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(list("abcdefgh"), random.integers(0, 9))) for _ in range(40)]
    scorer = find_scorer("distinct_n")
    options = scorer.resolve({"n": 2}, "here")
    assert scorer.judge is not None
    values = scorer.judge([seen(each) for each in texts], [], options, "cpu", lambda: None)
    assert values is not None

    def share(some: list[str]) -> float:
        found = [gram for each in some for gram in grams(each, 2)]
        return len(set(found)) / len(found)

    left = np.array([share(texts[:place] + texts[place + 1 :]) for place in range(40)])
    score = summarise(scorer, values)
    assert score.mean == pytest.approx(share(texts))
    wanted = math.sqrt(39 / 40 * ((left - left.mean()) ** 2).sum())
    assert score.stderr == pytest.approx(wanted)


def test_samples_of_a_prompt_differ_and_come_back_the_same(model: Tiny, data: Path) -> None:
    each = objective(data, "self_bleu", temperature=1.0, seed=4, options={"samples": 3, "n": 1})
    ((score, made),) = run(model, each)
    assert ((score, made)[0].values) == run(model, each)[0][0].values
    singles = [
        run(model, objective(data, "length", temperature=1.0, seed=4 + k))[0] for k in range(3)
    ]
    assert made["texts"] is not None and len(made["texts"]) == len(PROMPTS)
    for row, found in enumerate(made["texts"]):
        texts = [one["texts"][row] for _, one in singles if one["texts"] is not None]
        assert found == "\n\n".join(f"[{k}] {each}" for k, each in enumerate(texts, 1))
        assert score.values[row] == self_bleu(seen(*texts), None, n=1)
    assert made["tokens"] == sum(one["tokens"] or 0 for _, one in singles)


def test_a_length_is_that_of_the_answer_as_it_is_cut(model: Tiny, data: Path) -> None:
    (score, made), (words, _) = run(
        model,
        objective(data, "length", stop=("e",)),
        objective(data, "length", stop=("e",), options={"count": "words"}),
    )
    assert made["texts"] is not None
    assert score.values == tuple(float(len(each)) for each in made["texts"])  # a letter a token
    assert words.values == tuple(float(len(each.split())) for each in made["texts"])
    assert any(score.values)
