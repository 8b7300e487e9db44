"""The Explore page, driven without a browser; charts and their clicks are in tests/browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cache.journal import NotSaved
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, until, whole, widget
from tests.pages import toy
from ui import frame, opened


def test_a_first_start_says_what_happens_until_there_are_points(home: Path) -> None:
    at = page("explore").run()
    assert not at.exception
    assert "No points yet." in texts(at)
    assert "base, target, helpful, terse" in texts(at)


def test_header_names_study_family_numerics_and_counts(bench: Workbench) -> None:
    at = page("explore").run()
    assert not at.exception
    shown = texts(at)
    assert "pair" in shown
    assert "base, 2 experts, target · cpu, float32" in shown
    assert "4 points" in shown
    assert "worker ready" in shown


def test_sliders_carry_the_experts_names_and_the_study_s_ranges(bench: Workbench) -> None:
    at = page("explore").run()
    assert [(each.label, each.min, each.max) for each in recipe_sliders(at)] == [
        ("helpful", 0.0, 1.5),
        ("terse", 0.0, 1.5),
    ]


def test_each_method_keeps_its_own_sliders(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.slider, "helpful").set_value(1.1).run()
    widget(at.selectbox, "Method").set_value("linear").run()
    assert [each.label for each in recipe_sliders(at)] == ["base", "helpful", "terse"]
    widget(at.selectbox, "Method").set_value("task_arithmetic").run()
    assert widget(at.slider, "helpful").value == 1.1
    assert not at.exception


def test_what_a_method_has_no_memory_for_is_said_beside_its_sliders(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = toy.Service.open
    small = {"memory": {"live_bytes": 1, "basis_bytes": 9, "weight_space_bytes": 10,
                        "logit_space_bytes": 4, "available_bytes": 5}}  # fmt: skip
    monkeypatch.setattr(toy.Service, "open", lambda *a: {**given(*a), **small})
    bench.restart()
    until(lambda: bench.advance() or bench.opened is not None)
    at = page("explore").run()
    assert "computed again at every move" not in texts(at)
    widget(at.selectbox, "Method").set_value("pcb").run()
    assert "computed again at every move" in texts(at)
    assert not at.exception


def recipe_sliders(at: AppTest) -> list[Any]:
    """The sliders of coefficients; the others are weights and bounds."""
    return [each for each in at.slider if "." in each.key.split(":")[0]]


def export_links(at: AppTest) -> list[Any]:
    return [each.proto for each in at.get("page_link") if each.proto.label == "Export…"]


def test_evaluate_measures_the_recipe_in_hand(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.slider, "helpful").set_value(0.8).run()
    [said] = [each.query_string for each in export_links(at) if "c=" in each.query_string]
    assert "c=helpful%3A0.8%2Cterse%3A0.5" in said and "point" not in said  # not measured
    models = bench.measured().ids
    at.button(key="evaluate").click().run()
    until(lambda: bench.advance() or whole(bench, 5))
    at.run()
    assert not at.exception
    assert at.button(key="evaluate").disabled
    [new] = set(bench.measured().ids) - set(models)
    # of the pick, and of the recipe in hand
    assert f"point={new}" in [each.query_string for each in export_links(at)]
    assert "5 points" in texts(at)
    assert "5 of 5" in texts(at) or "of 5 points on the front" in texts(at)


def test_evaluate_takes_a_slider_s_move_that_came_along_with_it(bench: Workbench) -> None:
    """While the page is busy the browser's next events are heard in one run."""
    at = page("explore").run()
    models = set(bench.measured().ids)
    widget(at.slider, "helpful").set_value(0.8)
    at.button(key="evaluate").click().run()
    until(lambda: bench.advance() or whole(bench, 5))
    [new] = set(bench.measured().ids) - models
    measured = bench.measured()
    assert measured.recipes[measured.row_of[new]].coefficients["helpful"] == 0.8
    at.run()
    assert at.button(key="evaluate").disabled


def test_evaluate_takes_a_method_that_was_chosen_along_with_it(bench: Workbench) -> None:
    at = page("explore").run()
    models = set(bench.measured().ids)
    widget(at.selectbox, "Method").set_value("linear")
    at.button(key="evaluate").click().run()
    until(lambda: bench.advance() or whole(bench, 5))
    [new] = set(bench.measured().ids) - models
    measured = bench.measured()
    assert measured.recipes[measured.row_of[new]].method == "linear"


def test_the_tray_takes_a_slider_s_move_that_came_along(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.slider, "helpful").set_value(0.8)
    at.button(key="compare_recipe").click().run()
    [recipe] = at.session_state["tray"]
    assert recipe.coefficients["helpful"] == 0.8
    assert at.button(key="compare_recipe").label == "In tray"


def test_a_failed_recipe_is_shown_with_its_reason(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.slider, "helpful").set_value(toy.REFUSED).run()
    at.button(key="evaluate").click().run()
    until(lambda: bench.advance() or bench.measured().failures)
    at.run()
    assert "4 points, 1 failed" in texts(at)
    assert "the logits are not finite" in texts(at)


def test_cancel_stops_an_evaluation(bench: Workbench, service: toy.Service) -> None:
    service.pause = 30.0
    at = page("explore").run()
    at.button(key="evaluate").click().run()
    widget(at.button, "Cancel").click().run()
    [name] = [name for name in bench._tasks if name.endswith(":evaluate")]
    until(lambda: bench._tasks[name].status.over)
    at.run()
    assert "Cancelled" in texts(at)


def test_parameters_take_effect_on_apply(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.selectbox, "Method").set_value("pcb").run()
    widget(at.number_input, "ratio").set_value(0.2)
    widget(at.button, "Apply").click().run()
    assert not at.exception
    assert at.session_state["hand"].parameters["pcb"]["ratio"] == 0.2


def test_coefficients_that_cannot_be_used_are_said_and_not_submitted(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.selectbox, "Method").set_value("linear").run()
    for slider in recipe_sliders(at):
        slider.set_value(0.0)
    at.run()
    assert not at.exception
    assert "their sum is 0" in texts(at)
    assert not [each for each in at.button if each.label == "Evaluate"]


def test_the_axes_are_those_chosen_and_the_front_stays(bench: Workbench) -> None:
    at = page("explore").run()
    [front] = [each for each in texts(at).splitlines() if "on the front." in each]
    at.selectbox(key="view:y").set_value("loss").run()
    at.selectbox(key="view:z").set_value("manners").run()
    assert not at.exception
    assert front in texts(at)


def test_a_url_restores_method_point_and_axes(bench: Workbench) -> None:
    point = bench.measured().ids[2]
    at = page("explore")
    at.query_params["point"] = point
    at.query_params["method"] = "pcb"
    at.query_params["y"] = "loss"
    at.run()
    assert not at.exception
    assert widget(at.selectbox, "Method").value == "single"
    assert at.selectbox(key="view:y").value == "loss"
    assert at.session_state["hand"].parameters["single"] == {"model": "helpful"}


def test_a_url_of_a_point_that_is_gone_is_no_error(bench: Workbench) -> None:
    at = page("explore")
    at.query_params["point"] = "000000000000"
    at.run()
    assert not at.exception
    assert widget(at.selectbox, "Method").value == "task_arithmetic"


def test_the_table_lists_every_point_with_its_front_members_marked(bench: Workbench) -> None:
    at = page("explore").run()
    [table] = at.dataframe
    assert len(table.value) == 4
    assert table.value["front"].sum() >= 1
    base = table.value[table.value["parameters"] == "base"].iloc[0]
    assert base["facts"] == 0.5 and base["facts stderr"] == 0.02 and base["facts n"] == 300
    assert [round(base[f"facts {end}"], 3) for end in ("low", "high")] == [0.444, 0.556]


def test_a_broken_study_lists_each_problem(
    home: Path, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "study.yaml"
    broken.write_text("study: pair\nfamily: {base: nowhere}\nobjectives: []\n")
    monkeypatch.setenv("PARETOSCOPE_STUDY", str(broken))
    at = page("explore").run()
    assert not at.exception
    shown = texts(at)
    assert "This study cannot be opened." in shown
    assert "family.experts" in shown and "objectives" in shown
    assert not at.slider


def test_a_worker_that_failed_says_why_and_can_be_restarted(
    home: Path, service: toy.Service
) -> None:
    service.opens = False
    bench = opened.connect()
    until(lambda: bench.advance() or bench.worker().name == "failed")
    at = page("explore").run()
    assert "worker failed" in texts(at)
    assert "holds NaN" in texts(at)
    service.opens = True
    at.button(key="restart").click().run()
    until(lambda: bench.advance() or whole(bench, 4))
    at.run()
    assert not at.exception
    assert "worker failed" not in texts(at)


def test_a_full_disk_is_said_where_a_study_is_opened(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Workbench:
        raise NotSaved("no room for the journal: the disk is full. Make room, then try again.")

    monkeypatch.setattr(frame, "connect", full)
    at = page("explore").run()
    assert not at.exception
    assert "This study cannot be opened." in texts(at)
    assert "the disk is full" in texts(at)
