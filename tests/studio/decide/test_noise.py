"""How sure the front and the pick of a page are, worked out beside it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from engine.front.preference import ranges_of
from engine.recipe import Names, Recipe, resolve
from studio.charts.certainty import FAINT, with_certainty
from studio.charts.tradeoff import tradeoff
from studio.decide.cautious import cautious
from studio.decide.noise import Known, Noise, chances, leads, met, noise
from studio.decide.picking import pick
from studio.decide.preference import equal
from studio.decide.why import ERRORS, PAIRED, how_sure, why
from studio.points.table import SURE, columns
from studio.points.view import Axis, Measured, axes_of
from studio.workbench import Opened, Workbench

RIGHT = (0.30, 0.5, 0.52, 0.8)
"""Shares of right answers; the others are right on the other objective as often as they are wrong
here."""


@pytest.fixture
def known_bench(bench: Workbench) -> Iterator[Workbench]:
    """A study with four points, each with its results on 200 rows, of which points share how hard
    they are."""
    bench.opened = Opened("fam", {each.name: f"fp-{each.name}" for each in bench.objectives}, "cpu")
    random = np.random.default_rng(7)
    hard = random.random((2, 200))
    rows = []
    names = Names(("helpful", "terse"))
    for place, share in enumerate(RIGHT):
        recipe = resolve(Recipe("task_arithmetic", {"helpful": share}), names)
        for column, objective in enumerate(bench.objectives):
            own = share if column == 0 else 1 - share
            values = (0.8 * hard[column % 2] + 0.2 * random.random(200) < own).astype(float)
            rows.append(
                {
                    "kind": "score", "point": f"p{place}", "recipe": recipe.as_dict(),
                    "family": "fam", "objective": objective.name, "scorer": objective.scorer,
                    "objective_fingerprint": f"fp-{objective.name}", "split": "explore",
                    "numerics": "cpu", "mean": float(values.mean()), "n": 200,
                    "stderr": float(values.std(ddof=1) / 200**0.5), "values": values.tolist(),
                }
            )  # fmt: skip
    bench.store.append(rows)
    yield bench


def settled(bench: Workbench, measured: Measured, over: tuple[Axis, ...], bounds=None) -> Known:
    """What is known once it is worked out."""
    found, until = noise(bench).known(measured, over, bounds), time.monotonic() + 60
    while found is None and time.monotonic() < until:
        time.sleep(0.01)
        found = noise(bench).known(measured, over, bounds)
    assert found is not None
    return found


def test_it_is_worked_out_beside_the_page_and_kept(known_bench: Workbench) -> None:
    bench, measured = known_bench, known_bench.measured()
    over = axes_of(bench.objectives)[:2]
    before = noise(bench).version
    assert noise(bench).known(measured, over) is None  # the page does not wait
    found = settled(bench, measured, over)
    assert noise(bench).version == before + 1
    assert settled(bench, measured, over) is found and noise(bench).version == before + 1
    assert ((found.front > 0) & (found.front <= 1)).all()
    assert found.of(["p3", "none"])[0] == found.front[3] and np.isnan(found.of(["none"])[0])
    assert found.of(measured.ids) is found.front


def test_points_before_stand_in_until_those_of_now_are_known(known_bench: Workbench) -> None:
    bench, measured = known_bench, known_bench.measured()
    over = axes_of(bench.objectives)[:2]
    first = settled(bench, measured, over)
    fewer = measured.only(np.array([True, True, True, False]))
    assert noise(bench).known(fewer, over) is first


def test_bounds_that_a_point_misses_in_a_draw_keep_it_off_the_front(
    known_bench: Workbench,
) -> None:
    bench, measured = known_bench, known_bench.measured()
    first, second = axes_of(bench.objectives)[:2]
    free = settled(bench, measured, (first, second))
    low = float(measured.mean[2, measured.column(first.name)])
    bound = {first.name: (low, None)}
    within = settled(bench, measured, (first, second), bound)
    assert within.front[0] == 0 < free.front[0] and 0.2 < within.front[2] < 0.8
    ((name, words, chance),) = met(within, 2, bound)
    assert name == first.name and words == f"at least {low:g}" and 0.2 < chance < 0.8
    beside = settled(bench, measured, (second,), bound)
    assert beside.sure.names == (second.name, first.name)
    assert beside.front[2] > beside.front[0] == 0


def test_why_speaks_of_paired_differences_and_of_how_often_it_is_picked(
    known_bench: Workbench,
) -> None:
    bench, measured = known_bench, known_bench.measured()
    over = axes_of(bench.objectives)[:2]
    known = settled(bench, measured, over)
    even = equal([axis.name for axis in over])
    found = pick(measured, over, even)
    assert found is not None
    plain, told = (why(measured, found, even, False, each) for each in (None, known))
    assert plain[-1] == ERRORS and told[-1] == PAIRED and len(plain) == len(told)
    other = next(row for row in found.front.rows.tolist() if row != found.row)
    error, _ = leads(known, found.row, other)[over[0].name]
    alone = np.hypot(*measured.stderr[[found.row, other], measured.column(over[0].name)])
    assert 0 < error < 0.8 * alone
    share = chances(known, over, even, found.front.ranges, {})
    assert share.sum() == pytest.approx(1.0) and share[found.row] > 0
    said = how_sure(measured, found, even, {}, known)
    assert said[0].startswith("Picked again with probability") and len(said) == 1
    named = [int(each) for each in re.findall(r"(\d+) %", said[0])]
    assert "; others: " in said[0] and abs(sum(named) - 100) <= len(named), said
    bound = {over[0].name: (0.1, None)}
    said = how_sure(measured, found, even, bound, settled(bench, measured, over, bound))
    assert said[1] == f"{over[0].name} is at least 0.1 with probability over 99 %."
    assert how_sure(measured, found, even, {}, None) == []


@dataclass
class Said:
    measured: Measured
    sure: np.ndarray

    def of(self, ids: Sequence[str]) -> np.ndarray:
        return self.sure[[self.measured.row_of[each] for each in ids]]


def test_marks_texts_and_table_say_how_sure_a_point_is(known_bench: Workbench) -> None:
    measured = known_bench.measured()
    over = axes_of(known_bench.objectives)[:2]
    figure = tradeoff(measured, over, over)
    sure = np.array([0.95, 0.3, np.nan, 0.7])
    said = with_certainty(figure, Said(measured, sure))
    front = next(each for each in said["data"] if each.get("name") == f"front{FAINT}")
    shade = dict(zip([row[0] for row in front["customdata"]], front["marker"]["opacity"],
                     strict=True))  # fmt: skip
    text = {row[0]: row[-1] for row in front["customdata"]}
    on_front = set(shade)
    assert on_front >= {"p0", "p3"} and shade["p0"] == 1.0 and shade["p3"] == 0.75
    assert text["p0"] == "on the front with probability 95 %<br>"
    assert f"%{{customdata[{len(front['customdata'][0]) - 1}]}}point" in front["hovertemplate"]
    unsaid = with_certainty(figure, Said(measured, np.full(4, np.nan)))
    assert unsaid["data"] == figure["data"] and with_certainty(figure, None) is figure
    rows, mask = np.arange(4), np.ones(4, dtype=bool)
    assert SURE not in columns(measured, over, mask, rows, {}).column_names
    listed = columns(measured, over, mask, rows, {}, sure=sure)
    assert listed[SURE].to_pylist() == [0.95, 0.3, None, 0.7]


def test_a_cautious_pick_asks_for_more_than_the_mean(known_bench: Workbench) -> None:
    bench, measured = known_bench, known_bench.measured()
    careful = cautious(measured, bench.objectives, 1.0)
    assert cautious(measured, bench.objectives, 1.0) is careful
    assert cautious(measured, bench.objectives, 0.0) is measured
    for axis in axes_of(bench.objectives):
        column = measured.column(axis.name)
        lost = measured.mean[:, column] - careful.mean[:, column]
        assert lost == pytest.approx(measured.stderr[:, column] * (1 if axis.maximize else -1))
    over = axes_of(bench.objectives)[:2]
    bound = {over[0].name: (float(measured.mean[2, 0] - 0.5 * measured.stderr[2, 0]), None)}
    even = equal([axis.name for axis in over])
    spread = ranges_of([axis.name for axis in over], measured.mean[:, :2], [True, True])
    plain = pick(measured, over, even, bound, spread)
    assert plain is not None
    wary = pick(careful, over, even, bound, spread)
    assert wary is not None and careful.mean[wary.row, 0] >= bound[over[0].name][0]


def test_what_cannot_be_worked_out_is_not_said(
    known_bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("the store is closed")

    monkeypatch.setattr(type(known_bench.store), "examples", broken)
    asked = Noise(known_bench)
    measured = replace(known_bench.measured())
    over = axes_of(known_bench.objectives)[:2]
    assert asked.known(measured, over) is None
    until = time.monotonic() + 30
    while asked._running and time.monotonic() < until:
        time.sleep(0.01)
    assert asked.known(measured, over) is None and asked.version == 0
