"""Combinations of objectives against plain loops, the bootstrap and what `check` refuses."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import BadInput
from engine.front.noise import Results, draw
from engine.scoring.combining import Member, combined, rule_of
from engine.scoring.objectives import objective_fingerprint
from engine.scoring.registry import check_objective
from engine.scoring.scores import Score
from engine.study import Study, study_of_document


def member(values: Any, rows: str = "same", proportion: bool = False) -> Member:
    values = np.asarray(values, dtype=float)
    error = float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else np.nan
    return Member(float(values.mean()), error, values, rows, proportion)


def by_hand(text: str, row: list[float], maximize: bool) -> float:
    if text == "mean":
        return statistics.fmean(row)
    if text == "worst":
        return min(row) if maximize else max(row)
    off = 2.0 * statistics.pstdev(row)
    return statistics.fmean(row) - off if maximize else statistics.fmean(row) + off


@pytest.mark.parametrize("text", ["mean", "worst", "mean - 2*sd"])
@pytest.mark.parametrize("maximize", [True, False])
def test_members_of_the_same_rows_are_combined_row_by_row(text: str, maximize: bool) -> None:
    table = np.random.default_rng(0).normal(size=(3, 40))
    found = combined(rule_of(text), [member(each) for each in table], maximize)
    rows = [by_hand(text, row.tolist(), maximize) for row in table.T]
    assert found.values == pytest.approx(rows) and found.n == 40
    assert found.mean == pytest.approx(statistics.fmean(rows))
    assert found.stderr == pytest.approx(statistics.stdev(rows) / 40**0.5)


@pytest.mark.parametrize("text", ["mean", "worst", "mean - 2*sd"])
@pytest.mark.parametrize("maximize", [True, False])
def test_of_other_rows_the_error_is_that_of_the_bootstrap(text: str, maximize: bool) -> None:
    """Two members share rows, and are correlated; the third has its own, of another number."""
    random = np.random.default_rng(1)
    first = random.normal(1.0, 1.0, 300)
    second = 0.8 * first + random.normal(0.6, 0.5, 300)
    third = random.normal(3.0, 1.5, 200)
    members = [member(first), member(second), member(third, "others")]
    found = combined(rule_of(text), members, maximize)
    exact = by_hand(text, [each.mean for each in members], maximize)
    assert found.mean == pytest.approx(exact) and found.n == 500
    drawn = []
    for _ in range(1500):
        shared, own = random.integers(0, 300, 300), random.integers(0, 200, 200)
        means = [first[shared].mean(), second[shared].mean(), third[own].mean()]
        drawn.append(by_hand(text, means, maximize))
    assert found.stderr == pytest.approx(statistics.stdev(drawn), rel=0.08)
    assert statistics.fmean(float(each or 0) for each in found.values) == pytest.approx(exact)


def test_agreement_of_all_rows_is_no_certainty() -> None:
    right = [member([1.0] * 10, proportion=True), member([1.0] * 10, proportion=True)]
    jeffreys = (10.5 / 11 * 0.5 / 11 / 12) ** 0.5
    for text in ("mean", "worst", "mean - 1*sd"):
        found = combined(rule_of(text), right, True)
        assert found.mean == 1.0 and found.stderr == pytest.approx(jeffreys)
    apart = [right[0], member([1.0] * 10, "others", True)]
    assert combined(rule_of("mean"), apart, True).stderr == pytest.approx(jeffreys / 2**0.5)
    assert combined(rule_of("worst"), apart, True).stderr == pytest.approx(jeffreys)
    unknown = combined(rule_of("mean - sd"), apart, True)  # no slope where all means are equal
    assert unknown.mean == 1.0 and unknown.stderr is None


def test_draws_of_a_mean_are_the_mean_of_its_members_draws() -> None:
    table = np.random.default_rng(2).normal(size=(2, 4, 30))  # members, points, rows
    whole = [[combined(rule_of("mean"), [member(each) for each in pair], True)
              for pair in table.transpose(1, 0, 2)]]  # fmt: skip
    scores = [*([Score(float(row.mean()), float(row.std(ddof=1)) / 30**0.5, 30, None, None,
                       tuple(row)) for row in each] for each in table), *whole]  # fmt: skip
    results = [
        Results("mean", *(np.array([getattr(one, of) for one in each], dtype=float)
                          for of in ("mean", "stderr", "values")), "rows")
        for each in scores
    ]  # fmt: skip
    drawn = draw(results, 200)
    np.testing.assert_allclose(drawn[:, :, 2], drawn[:, :, :2].mean(axis=2), rtol=0, atol=1e-6)


def test_what_cannot_be_paired_has_no_score() -> None:
    short = combined(rule_of("mean"), [member([1.0, 0.0]), member([1.0])], True)
    assert short.mean is None and "same rows" in str(short.error)


def study(path: Path, *more: dict[str, Any]) -> Study:
    (path / "rows.jsonl").write_text('{"prompt": "a", "target": "b"}\n' * 2)
    plain = [
        {"name": name, "data": "rows.jsonl", "scorer": scorer}
        for name, scorer in (("exact", "exact_match"), ("has", "contains"), ("loss", "nll"))
    ]
    plain.append({**plain[1], "name": "few", "limit": 1})
    family = {"base": "base", "experts": {"one": "one"}}
    document = {"family": family, "objectives": [*plain, *more]}
    return study_of_document(document, path / "study.yaml")


def both(**keys: Any) -> dict[str, Any]:
    return {"name": "both", "combine": "worst", "of": ["exact", "has"], **keys}


def test_a_combination_is_known_by_its_members_and_not_by_their_names(tmp_path: Path) -> None:
    one = check_objective(study(tmp_path, both()).objective("both"))
    assert one.direction == "maximize" and [each.name for each in one.members] == ["exact", "has"]
    prints = {
        objective_fingerprint(study(tmp_path, each).objective("both"), "t")
        for each in (both(), both(of=["has", "exact"]), both(combine="mean"),
                     both(of=["exact", "loss"]))
    }  # fmt: skip
    assert len(prints) == 3


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"of": ["exact", "hass"]}, "no objective named 'hass'"),
        ({"of": ["exact", "both"]}, "combines itself"),
        ({"data": "rows.jsonl"}, "no key named 'data'"),
        ({"of": ["exact", "loss"]}, "several units"),
        ({"of": ["exact", "exact"]}, "two or more"),
        ({"of": ["exact", "few"]}, "different parts of the same data"),
        ({"combine": "median"}, "combines nothing"),
        ({"direction": "minimize"}, "is to maximize, the combination to minimize"),
    ],
)
def test_what_cannot_be_combined_is_refused(
    tmp_path: Path, keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        check_objective(study(tmp_path, both(**keys)).objective("both"))


def test_combinations_are_not_nested(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="both combines others"):
        study(tmp_path, both(), {"name": "all", "combine": "mean", "of": ["both", "exact"]})
