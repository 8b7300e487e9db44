"""Undo, redo and reset of the recipe in hand, and what a reload keeps."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from studio.workbench import Workbench
from tests.app_fixtures import page, widget


def standing(at: AppTest) -> tuple[str, float, float]:
    method = widget(at.selectbox, "Method").value
    return method, widget(at.slider, "helpful").value, widget(at.slider, "terse").value


def test_undo_and_redo_go_through_every_recipe_that_was_in_hand(bench: Workbench) -> None:
    at = page("explore").run()
    assert at.button(key="hand_undo").disabled and at.button(key="hand_redo").disabled
    first = standing(at)
    widget(at.slider, "helpful").set_value(1.1).run()
    widget(at.slider, "terse").set_value(0.2).run()
    widget(at.selectbox, "Method").set_value("pcb").run()
    fourth = standing(at)
    for _ in range(2):
        at.button(key="hand_undo").click().run()
    assert standing(at) == ("task_arithmetic", 1.1, first[2])
    at.button(key="hand_redo").click().run()
    assert standing(at) == ("task_arithmetic", 1.1, 0.2)
    at.button(key="hand_redo").click().run()
    assert standing(at) == fourth and at.button(key="hand_redo").disabled
    assert not at.exception


def test_undo_takes_back_a_move_that_came_along_with_it(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.slider, "helpful").set_value(1.1).run()
    widget(at.slider, "helpful").set_value(1.2)
    at.button(key="hand_undo").click().run()  # both are heard in one run
    assert standing(at) == ("task_arithmetic", 1.1, 0.5)
    at.button(key="hand_redo").click().run()
    assert standing(at) == ("task_arithmetic", 1.2, 0.5)


def test_another_move_forgets_what_was_undone(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.slider, "helpful").set_value(1.1).run()
    at.button(key="hand_undo").click().run()
    widget(at.slider, "terse").set_value(0.9).run()
    assert at.button(key="hand_redo").disabled
    at.button(key="hand_undo").click().run()
    assert standing(at) == ("task_arithmetic", 0.5, 0.5)


def test_reset_puts_sliders_and_parameters_where_they_stood_at_first(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.selectbox, "Method").set_value("pcb").run()
    assert at.button(key="hand_reset").disabled
    widget(at.slider, "helpful").set_value(1.1).run()
    widget(at.number_input, "ratio").set_value(0.2)
    widget(at.button, "Apply").click().run()
    at.button(key="hand_reset").click().run()
    assert standing(at) == ("pcb", 0.5, 0.5)
    assert at.session_state["hand"].parameters["pcb"]["ratio"] == 0.1
    at.button(key="hand_undo").click().run()
    assert at.session_state["hand"].parameters["pcb"]["ratio"] == 0.2


def test_a_reload_keeps_the_tray(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.slider, "helpful").set_value(1.1).run()
    at.button(key="compare_recipe").click().run()
    at.run()
    kept = at.query_params["points"]
    again = page("explore")
    again.query_params["points"] = kept
    again.run()
    again.run()
    assert again.session_state["tray"] == at.session_state["tray"]
    assert len(again.session_state["tray"]) == 1
