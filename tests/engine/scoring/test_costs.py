from __future__ import annotations

import pytest

from engine.decoding.fusion import Mixture
from engine.decoding.loop import generate
from tests.engine.scoring.test_evaluate import (
    END,
    PROMPTS,
    Characters,
    Tiny,
    data,
    objective,
    run,
    text,
    tiny,
)  # fmt: skip

assert data and text  # fixtures
SHARES = (1.0, 4.0)


def gated(text: Characters, threshold: float) -> Tiny:
    modules = tuple(tiny(seed, text).modules[0] for seed in range(2))
    mixture = Mixture(("base", "target"), (0.0, 1.0), "gated", (("threshold", threshold),))
    return Tiny(modules, text, mixture=mixture, cost=5.0, shares=SHARES)


@pytest.mark.parametrize(("threshold", "wanted"), [(0.0, 5.0), (99.0, 1.0)])
def test_all_models_at_every_token_and_one_at_none(
    text: Characters, data, threshold: float, wanted: float
) -> None:
    ((score, made),) = run(gated(text, threshold), objective(data, "cost"))
    assert (score.mean, score.n) == (wanted, len(PROMPTS))
    assert made["texts"] is not None


def test_it_is_what_was_run_for_each_text(text: Characters, data) -> None:
    model = gated(text, 1.1)
    ((score, _),) = run(model, objective(data, "cost"))
    prompts = [text.encode(prompt) for prompt in PROMPTS]
    found = generate(model, prompts, max_new_tokens=12, end_ids=frozenset((END,)))
    tokens = [len(each.token_ids) + (each.ended == "end") for each in found]
    assert [each.runs[0] for each in found] == tokens
    runs = [each.runs[1] for each in found]
    assert any(0 < run < count for run, count in zip(runs, tokens, strict=True))
    assert score.values == pytest.approx(
        [1 + 4 * run / count for run, count in zip(runs, tokens, strict=True)]
    )
    assert score.low is not None and score.high is not None


def test_without_data_it_is_no_number_but_a_reason(text: Characters, data) -> None:
    ((score, _),) = run(gated(text, 1.0), objective(None, "cost"))
    assert score.mean is None and score.n == 1
    assert score.error is not None and "give the objective" in score.error


def test_what_runs_everywhere_costs_the_same_with_data(text: Characters, data) -> None:
    ((bare, made),) = run(tiny(0, text), objective(None, "cost"))
    ((over, also),) = run(tiny(0, text), objective(data, "cost"))
    assert bare.mean == over.mean == tiny(0, text).cost
    assert (bare.n, over.n) == (1, len(PROMPTS))
    assert made["texts"] is None and also["texts"] is None  # nothing has to be written for it
