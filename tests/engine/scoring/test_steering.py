from __future__ import annotations

import pytest

from engine.decoding.fusion import Mixture
from engine.decoding.loop import generate
from engine.scoring.steering import strength
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
OPTIONS = (("directed", 0.0), ("target", 1.0), ("step", 0.1), ("max", 2.0))
MIXTURE = Mixture(("target", "base", "a", "b"), (1.0, -1.0, 1.0, 1.0), "dynamic", OPTIONS)


def test_a_mean_over_the_tokens():
    assert strength([0.5, 1.5, 1.0], None) == 1.0


def test_an_example_has_the_mean_of_what_was_chosen(text: Characters, data) -> None:
    modules = tuple(tiny(seed, text).modules[0] for seed in range(4))
    model = Tiny(modules, text, mixture=MIXTURE)
    ((score, made),) = run(model, objective(data, "strength"))
    prompts = [text.encode(prompt) for prompt in PROMPTS]
    found = generate(model, prompts, max_new_tokens=12, end_ids=frozenset((END,)))
    wanted = [[sum(each) for each in one.strengths] for one in found]
    assert score.values == pytest.approx([sum(each) / len(each) for each in wanted])
    assert score.mean is not None and score.stderr is not None and 0.0 < score.mean < 2.0
    assert made["texts"] is not None and len(made["texts"]) == len(PROMPTS)


def test_what_chooses_none_has_none(text: Characters, data) -> None:
    ((score, _),) = run(tiny(0, text), objective(data, "strength"))
    assert set(score.values) == {0.0}
