"""The numbers of a score against first principles, in float64 and without the product's code.

Values, weights, ties and data are drawn at random; the models are one tiny family, one row at a
time through transformers (`tests.oracle`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import engine.decoding
import engine.merging  # noqa: F401  registers what the recipes name
from engine.compose import Composer
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve
from engine.scoring.data_row import question_of
from engine.scoring.evaluate import evaluate
from engine.scoring.objectives import prepare
from engine.scoring.registry import find_scorer
from engine.scoring.scores import Score, summarise
from engine.study import load_study
from tests import oracle
from tests.engine.jobs.small import build_small_study
from tests.families import SENTENCES

few = settings(
    max_examples=150, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
Z = float(mpmath.sqrt(2) * mpmath.erfinv(mpmath.mpf("0.95")))

losses = st.lists(st.floats(0, 30, allow_subnormal=False), min_size=1, max_size=40)


def student_within(t: float, degrees: int) -> float:
    """P(|T| < t), by the incomplete beta function."""
    x = mpmath.mpf(degrees) / (degrees + mpmath.mpf(t) ** 2)
    return float(1 - mpmath.betainc(mpmath.mpf(degrees) / 2, 0.5, 0, x, regularized=True))


def sample(values: Sequence[float]) -> tuple[float, float | None]:
    found = np.asarray(values, dtype=np.float64)
    error = float(found.std(ddof=1) / math.sqrt(len(found))) if len(found) > 1 else None
    return float(found.mean()), error


def close(found: float | None, wanted: float | None, scale: float = 1.0) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-9 * max(scale, 1.0))


@given(losses)
@few
def test_a_mean_and_its_interval(values: list[float]) -> None:
    score = summarise(find_scorer("nll"), values)
    mean, error = sample(values)
    assert close(score.mean, mean) and close(score.stderr, error) and score.n == len(values)
    if error is None:
        assert (score.low, score.high) == (None, None)
        return
    assert score.low is not None and score.high is not None
    assert 0.0 <= score.low <= score.mean + 1e-12 and score.mean <= score.high + 1e-12
    if error > 1e-9:
        t = (score.high - mean) / error
        assert student_within(t, len(values) - 1) == pytest.approx(0.95, abs=1e-9)
        assert close(score.low, max(0.0, mean - t * error), 1e3)


@given(st.lists(st.sampled_from([0.0, 1.0, 0.5, 1 / 3, 0.25]), min_size=1, max_size=60))
@few
def test_a_share_and_its_interval(values: list[float]) -> None:
    """Wilson's bounds are where the share is z standard errors of the bound away."""
    score = summarise(find_scorer("choice"), values)
    mean, error = sample(values)
    n = len(values)
    assert close(score.mean, mean) and close(score.stderr, error)
    assert score.low is not None and score.high is not None
    roots = np.roots([1 + Z * Z / n, -(2 * mean + Z * Z / n), mean * mean])
    low, high = sorted(float(each.real) for each in roots)
    assert score.low == pytest.approx(max(low, 0.0), abs=1e-7)
    assert score.high == pytest.approx(min(high, 1.0), abs=1e-7)
    assert 0.0 <= score.low < score.high <= 1.0, "an interval that is a point says too much"


@given(st.lists(st.tuples(st.floats(0, 8), st.integers(1, 50)), min_size=1, max_size=30))
@few
def test_a_perplexity_and_its_error(pairs: list[tuple[float, int]]) -> None:
    """The error by the infinitesimal jackknife: each example's derivative of the whole, in numbers
    of fifty digits, instead of a formula."""
    values, weights = [v for v, _ in pairs], [float(w) for _, w in pairs]
    score = summarise(find_scorer("perplexity"), values, weights)
    n = len(values)
    with mpmath.workdps(50):

        def whole(shift: int | None, by: mpmath.mpf) -> mpmath.mpf:
            each = [1 + (by if k == shift else 0) for k in range(n)]
            top = sum(e * w * mpmath.mpf(v) for e, w, v in zip(each, weights, values, strict=True))
            return mpmath.exp(top / sum(e * w for e, w in zip(each, weights, strict=True)))

        mean, step = whole(None, mpmath.mpf(0)), mpmath.mpf(10) ** -20
        slopes = [(whole(k, step) - mean) / step for k in range(n)]
        error = float(mpmath.sqrt(sum(s * s for s in slopes) * n / (n - 1))) if n > 1 else None
    assert close(score.mean, float(mean), float(mean))
    if error is None or score.stderr is None:
        assert score.stderr is None and n == 1
        return
    assert score.stderr == pytest.approx(error, rel=1e-6, abs=1e-9 * float(mean))
    assert score.low is not None and 1.0 <= score.low <= float(mean) * (1 + 1e-12)


class World:
    """One base, one expert, and what is drawn as their data."""

    def __init__(self, root: Path) -> None:
        self.study = build_small_study(root)
        study = load_study(self.study)
        self.root = root
        self.composer = Composer(open_family(study.family), device="cpu")
        recipe = resolve(Recipe("single", {}, {"model": "base"}), study.family.names)
        self.model = self.composer.compose(recipe)
        self.speaker = oracle.load(root / "base")
        self.tokenizer = oracle.load_tokenizer(root / "base")
        self.ends = oracle.end_tokens(root / "base", self.tokenizer)

    def scores(self, rows: list[dict[str, Any]], objective: dict[str, Any]) -> tuple[Score, Any]:
        """What the product says of rows, and what the oracle says of them."""
        place = self.root / "drawn.jsonl"
        place.write_text("".join(json.dumps(row) + "\n" for row in rows))
        written = {"name": "o", "data": "drawn.jsonl", **objective}
        document = yaml.safe_load(self.study.read_text())
        other = self.root / "drawn.yaml"
        other.write_text(yaml.safe_dump({**document, "objectives": [written]}))
        objectives = prepare(load_study(other))
        [(_, score, _)] = evaluate(
            self.model, objectives, base=lambda: self.composer.module("base")
        )
        wanted = oracle.score(written, self.root, self.speaker, self.tokenizer, self.ends)
        return score, wanted


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


WORDS = sorted(set(" ".join(SENTENCES).replace(",", "").split()))
word = st.sampled_from(WORDS)
prompts = st.lists(word, min_size=1, max_size=5).map(" ".join)


@st.composite
def questions(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows with choices, some of them the same text twice, so that there are true ties."""
    rows = []
    for prompt in draw(st.lists(prompts, min_size=4, max_size=10, unique=True)):
        choices = draw(st.lists(word, min_size=2, max_size=4))
        rows.append({"prompt": prompt, "choices": choices,
                     "answer": draw(st.integers(0, len(choices) - 1))})  # fmt: skip
    return rows


@settings(few, max_examples=12)
@given(rows=questions(), fraction=st.sampled_from([0.0, 0.2, 0.3]))
def test_choices_of_a_model(world: World, rows: list[dict[str, Any]], fraction: float) -> None:
    if not oracle.rows_of({"data": "x", "report_fraction": fraction}, _written(world, rows)):
        return  # all of them are held back
    score, wanted = world.scores(rows, {"scorer": "choice", "report_fraction": fraction})
    assert score.n == wanted.n and score.values == pytest.approx(wanted.values)
    mean, error = sample(wanted.values)
    assert close(score.mean, mean) and close(score.stderr, error)


def _written(world: World, rows: list[dict[str, Any]]) -> Path:
    (world.root / "x").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return world.root


@settings(few, max_examples=12)
@given(
    prompts=st.lists(prompts, min_size=4, max_size=10, unique=True),
    targets=st.lists(prompts, min_size=10, max_size=10),
    scorer=st.sampled_from(["nll", "perplexity"]),
)
def test_losses_of_a_model(
    world: World, prompts: list[str], targets: list[str], scorer: str
) -> None:
    rows = [{"prompt": p, "target": t} for p, t in zip(prompts, targets, strict=False)]
    score, wanted = world.scores(rows, {"scorer": scorer, "report_fraction": 0.0})
    assert score.n == wanted.n == len(rows)
    assert score.mean == pytest.approx(wanted.mean, rel=1e-4)
    assert score.stderr == pytest.approx(wanted.stderr, rel=1e-2)


@settings(few, max_examples=8)
@given(rows=questions(), copies=st.lists(st.integers(0, 3), min_size=10, max_size=10))
def test_copies_count_once(world: World, rows: list[dict[str, Any]], copies: list[int]) -> None:
    """A hundred copies of a row make nothing surer."""
    objective = {"scorer": "choice", "report_fraction": 0.0}
    score, _ = world.scores(rows, objective)
    again = [row for row, count in zip(rows, copies, strict=False) for _ in range(1 + count)]
    repeated, _ = world.scores([*again, *rows], objective)
    assert repeated.as_dict() == score.as_dict() and repeated.n == len(rows)


@given(prompts, st.sampled_from(["", " ", "\n", "  "]))
@few
def test_one_question_has_one_split(prompt: str, after: str) -> None:
    """As a prompt, with white space behind, as a message: it is held back or it is not."""
    message = [{"role": "user", "content": prompt + after}]
    forms = {
        question_of(prompt, None), question_of(prompt + after, None), question_of(None, message),
    }  # fmt: skip
    assert forms == {prompt}, "and a plain prompt stays where it always was"
