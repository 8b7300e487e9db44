"""The Sweeps page, driven without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cache.living import Living
from engine.recipe import Recipe, resolve
from studio.sweeps import queue as sweeping
from studio.sweeps.sweep import Sweep, recipes_of, write, write_recipes
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, until, widget
from tests.pages import toy

SLOW = 600.0  # seconds a score: it ends when a test ends it


def opened(design: str = "grid") -> AppTest:
    at = page("sweeps").run()
    if design == "grid":
        at.selectbox(key="sweep_strategy").set_value("grid").run()
    assert not at.exception
    return at


def estimated(at: AppTest) -> AppTest:
    at.button(key="estimate").click().run()
    until(lambda: at.run().session_state["estimating"].finished)
    assert not at.exception
    return at.run()


def started(at: AppTest) -> AppTest:
    estimated(at).button(key="start").click().run()
    assert not at.exception
    return at


def finished(bench: Workbench) -> bool:
    bench.advance()
    queue = sweeping.queue(bench)
    return queue is not None and not queue.of_state("running", "waiting")


def test_a_sweep_is_spread_evenly_unless_a_grid_is_asked_for(bench: Workbench) -> None:
    """By default a grid of 25 was one point with five experts."""
    at = opened("sobol")
    assert at.selectbox(key="sweep_strategy").value == "sobol"
    assert [each.label for each in at.expander] == [
        "task_arithmetic: 32 points over 2 coefficients"
    ]
    assert "not 32" not in texts(at)
    at.selectbox(key="sweep_strategy").set_value("grid").run()
    assert (
        "task_arithmetic: 25 points, not 32: 5 levels for each of 2 coefficients."
        " The next finer one has 36 points."
    ) in texts(at)
    at.number_input(key="sweep_points").set_value(3).run()
    assert "task_arithmetic: 1 point, not 3: 1 level for each of" in texts(at)
    assert "Max points per method" in {each.label for each in at.number_input}


def test_an_empty_page_says_what_to_do(home: Path) -> None:
    at = opened("sobol")
    shown = texts(at)
    assert "No sweep is running." in shown and "Choose methods" in shown
    assert "Once the models are scored" in shown
    assert at.button(key="estimate").disabled


def test_each_method_is_explained_with_the_points_its_grid_really_has(bench: Workbench) -> None:
    at = opened()
    at.multiselect(key="sweep_methods").set_value(["task_arithmetic", "linear"]).run()
    at.number_input(key="sweep_points").set_value(30).run()
    assert not at.exception
    assert [each.label for each in at.expander] == [
        "task_arithmetic: 25 points, 5 levels each over 2 coefficients",
        "linear: 28 points, a lattice of mixtures over 3 coefficients",
    ]
    assert "Adds each expert's task vector to the base" in texts(
        at
    ) and "arXiv 2212.04089" in texts(at)
    at.selectbox(key="sweep_strategy").set_value("sobol").run()
    assert at.expander[0].label == "task_arithmetic: 30 points over 2 coefficients"
    assert not at.number_input(key="sweep_seed").disabled


def test_nothing_starts_before_its_estimate(bench: Workbench) -> None:
    at = opened()
    assert not [each for each in at.button if each.label == "Start"]
    at.number_input(key="sweep_points").set_value(4).run()
    estimated(at)
    shown = texts(at)
    # one of the four is measured now; 1 s to compose and 2 s an objective
    assert "3 new points (1 already measured). About 21 s in all." in shown
    assert "task_arithmetic grid 4: 3 × 7.0 s per point, measured on one, 5.0 s once" in shown
    assert "Memory: up to 2 GB needed, 4 GB free" in shown
    assert len(bench.measured()) == 5
    assert at.button(key="estimate").label == "Estimate again"
    at.number_input(key="sweep_points").set_value(9).run()
    assert at.button(key="estimate").label == "Estimate"
    assert "The form has changed since the estimate" in texts(at)
    assert not [each for each in at.button if each.label == "Start"]


def test_a_sweep_runs_and_is_listed(bench: Workbench, service: toy.Service) -> None:
    at = opened()
    at.multiselect(key="sweep_objectives").set_value(["facts", "loss"]).run()
    at.number_input(key="sweep_points").set_value(4).run()
    service.measured.clear()
    started(at)
    until(lambda: finished(bench))
    at.run()
    assert not at.exception
    assert len(service.measured) == len(set(service.measured)) == 8
    assert {name for _, name in service.measured} == {"facts", "loss"}
    row = at.dataframe[-1].value.iloc[0]
    assert row["methods"] == "task_arithmetic grid 4" and row["state"] == "done"
    assert row["objectives"] == "facts, loss" and row["points"] == 4


def test_structural_parameters_reach_the_recipes(bench: Workbench) -> None:
    at = opened()
    at.multiselect(key="sweep_methods").set_value(["pcb"]).run()
    widget(at.number_input, "ratio").set_value(0.2).run()
    at.number_input(key="sweep_points").set_value(1).run()
    at.selectbox(key="sweep_strategy").set_value("grid").run()
    estimated(at)
    assert "All points of this sweep are already measured." in texts(at)
    assert bench.measured().recipes[-1].parameters["ratio"] == 0.2


def test_a_form_without_methods_cannot_be_estimated(bench: Workbench) -> None:
    at = opened()
    at.multiselect(key="sweep_methods").set_value([]).run()
    assert "Choose at least one method" in texts(at)
    assert at.button(key="estimate").disabled


def test_the_form_is_kept_from_page_to_page(bench: Workbench) -> None:
    at = opened()
    at.number_input(key="sweep_points").set_value(7).run()
    at.selectbox(key="sweep_strategy").set_value("sobol").run()
    kept = at.session_state["sweep_form"]
    at = page("sweeps")  # another page drops the widgets, and what they hold
    at.session_state["sweep_form"] = kept
    at.run()
    assert at.number_input(key="sweep_points").value == 7
    assert at.selectbox(key="sweep_strategy").value == "sobol"


def test_a_sweep_can_be_cancelled_and_resumed(bench: Workbench, service: toy.Service) -> None:
    at = opened()
    at.number_input(key="sweep_points").set_value(4).run()
    estimated(at)
    service.pause = SLOW
    at.button(key="start").click().run()
    widget(at.button, "Cancel").click().run()
    until(lambda: finished(bench))
    at.run()
    assert "cancelled, 1 of 4 points: task_arithmetic grid 4" in texts(at)
    service.pause = 0.0
    widget(at.button, "Resume").click().run()
    until(lambda: finished(bench))
    at.run()
    assert not at.exception
    assert len(bench.measured()) == 8
    assert "No sweep is running." in texts(at)


def test_a_sweep_of_a_shell_is_shown_and_when_it_is_killed_can_be_resumed(
    bench: Workbench, home: Path
) -> None:
    assert bench.known is not None
    recipe = resolve(Recipe("task_arithmetic", {"helpful": 0.3}), bench.names)
    plan = ({"method": "task_arithmetic", "strategy": "sobol", "points": 1, "seed": 3},)
    sweep = Sweep("5e11", bench.known.family, plan, ("facts",), 1, 1.7e9, state="running")
    write_recipes(bench, sweep, [recipe])
    write(bench, sweep)
    shell = Living(home / "claims")
    assert shell.hold(sweep.id)
    at = opened()
    assert "running in another process, 0 of 1 point: task_arithmetic sobol 1 seed 3" in texts(at)
    assert not [each for each in at.button if each.label in ("Resume", "Cancel", "Remove")]
    shell.let_go_all()
    at.run()
    assert "interrupted, 0 of 1 point: task_arithmetic sobol 1 seed 3" in texts(at)
    widget(at.button, "Resume").click().run()
    until(lambda: finished(bench))
    assert "No sweep is running." in texts(at.run())
    [past] = [each for each in at.dataframe if "state" in each.value]
    assert past.value["state"].tolist() == ["done"]


def test_a_waiting_sweep_is_shown_with_its_place_and_removed(
    bench: Workbench, service: toy.Service
) -> None:
    service.pause = SLOW
    for value in (0.1, 0.2):
        recipe = resolve(Recipe("task_arithmetic", {"helpful": value}), bench.names)
        plan = [{"method": "task_arithmetic", "strategy": "grid", "points": 1}]
        sweeping.enqueue(bench, plan, [recipe], ["facts"], {})
    at = opened()
    assert "0 of 1 point ·" in texts(at) and "1. in the queue: task_arithmetic grid 1" in texts(at)
    widget(at.button, "Remove").click().run()
    assert "in the queue" not in texts(at)
    widget(at.button, "Cancel").click().run()
    until(lambda: finished(bench))


def test_failed_points_say_why_and_can_be_tried_again(
    bench: Workbench, service: toy.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = resolve(Recipe("task_arithmetic", {"helpful": toy.REFUSED}), bench.names)
    bench.evaluate([bad], "Scoring", "here").handle.result(20)
    at = opened()
    [failed] = [each for each in at.dataframe if "reason" in each.value]
    assert failed.value["reason"].tolist() == ["the logits are not finite"]
    assert failed.value["recipe"].tolist() == ["task_arithmetic(helpful 1.23)"]
    monkeypatch.setattr(toy, "REFUSED", None)
    at.button(key="again").click().run()
    until(lambda: finished(bench))
    at.run()
    assert not at.exception
    assert not [each for each in at.dataframe if "reason" in each.value]
    assert not bench.measured().failures


def test_a_score_that_is_no_number_is_told_and_not_tried_again(bench: Workbench) -> None:
    recipe = resolve(Recipe("task_arithmetic", {"helpful": 0.77}), bench.names)
    lost = {"mean": None, "stderr": None, "low": None, "high": None, "error": "constant logits"}
    bench.store.append([row | lost for row in toy.score_rows(recipe, bench.study)])
    at = opened()
    [failed] = [each for each in at.dataframe if "reason" in each.value]
    assert "facts: constant logits" in failed.value["reason"].tolist()[0]
    assert not [each for each in at.button if each.key == "again"]


def test_an_estimate_that_fails_says_why(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy, "REFUSED", 0.75)  # the middle of the range
    at = opened()
    at.number_input(key="sweep_points").set_value(1).run()
    estimated(at)
    assert "No point could be measured." in texts(at)
    assert "the logits are not finite" in texts(at)
    assert not [each for each in at.button if each.label == "Start"]


def test_a_cancelled_estimate_leaves_the_form(bench: Workbench, service: toy.Service) -> None:
    service.pause = SLOW
    at = opened()
    at.button(key="estimate").click().run()
    until(lambda: [each for each in at.run().button if each.label == "Cancel"])
    widget(at.button, "Cancel").click().run()
    until(lambda: "Cancelled" in texts(at.run()))
    assert not at.button(key="estimate").disabled


def test_bands_of_layers_are_sliders_of_their_own(bench: Workbench) -> None:
    at = opened("sobol")
    groups = widget(at.number_input, "groups")
    assert groups.max == bench.names.layers
    groups.set_value(2).run()
    assert [each.label for each in at.expander] == [
        "task_arithmetic: 32 points over 4 coefficients"
    ]
    at.number_input(key="sweep_points").set_value(2).run()
    started(at)
    until(lambda: finished(bench))
    found = [each for each in bench.measured().recipes if each.parameters.get("groups") == 2]
    assert len(found) == 2 and not at.exception
    assert {tuple(each.coefficients) for each in found} == {
        ("helpful@1", "helpful@2", "terse@1", "terse@2")
    }


def test_a_search_is_asked_for_and_says_why_it_ended(bench: Workbench) -> None:
    at = opened("sobol")
    at.selectbox(key="sweep_strategy").set_value("suggest").run()
    assert at.checkbox(key="sweep_still").value and not at.exception
    at.number_input(key="sweep_points").set_value(40).run()
    estimated(at)
    assert "40 new points at most, for all methods together. About" in texts(at)
    at.button(key="start").click().run()
    until(lambda: finished(bench), 60)
    at.run()
    assert not at.exception
    queue = sweeping.queue(bench)
    assert queue is not None
    [sweep] = queue.of_state("done")
    assert sweep.search is not None and sweep.search["why"].startswith("the front stands still")
    assert 5 < len(recipes_of(bench, sweep)) < 40
    row = at.dataframe[-1].value.iloc[0]
    assert "the front stands still" in row["state"]
    assert "suggest 40" in row["methods"] and row["points"] == len(recipes_of(bench, sweep))


def test_an_evolution_has_weights_and_a_missing_surrogate_is_said(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = opened("sobol")
    at.selectbox(key="sweep_strategy").set_value("cmaes").run()
    at.number_input(key="sweep_weight:facts").set_value(2.0).run()
    assert at.session_state["sweep_form"]["search"]["weights"]["facts"] == 2.0
    at.number_input(key="sweep_points").set_value(8).run()
    started(at)
    until(lambda: finished(bench), 60)
    queue = sweeping.queue(bench)
    assert queue is not None
    [sweep] = queue.of_state("done")
    assert sweep.search is not None and sweep.search["options"]["weights"]["facts"] == 2.0
    assert len(recipes_of(bench, sweep)) == 8
    monkeypatch.setattr("pages.panels.sweeps.search_form.installed", lambda: False)
    at.selectbox(key="sweep_strategy").set_value("suggest").run()
    at.selectbox(key="sweep_surrogate").set_value("gp").run()
    assert "BoTorch is not installed" in texts(at) and at.button(key="estimate").disabled
