"""Pruning from the recipe on Explore to its point, its address, the tray and the export."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from engine.recipe import Recipe, recipe_from_dict, resolve
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, until, widget
from ui import address

SHARE = "Share of weights to zero"


def prune(at: AppTest, ratio: float) -> None:
    widget(at.slider, SHARE).set_value(ratio).run()


def objectives(at: AppTest) -> list[str]:
    return list(widget(at.selectbox, "On the rows of").options)


def test_only_what_is_merged_is_pruned_and_only_on_rows(bench: Workbench) -> None:
    at = page("explore").run()
    assert objectives(at) == ["facts", "manners", "loss"]
    assert widget(at.slider, SHARE).value == 0.0 and "prune" not in at.query_params
    widget(at.selectbox, "Method").set_value("proxy_tuning").run()
    assert not [each for each in at.slider if each.label == SHARE]
    widget(at.selectbox, "Method").set_value("linear").run()
    assert widget(at.slider, SHARE).value == 0.0
    assert not at.exception


def test_it_becomes_a_point_of_its_own(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.button, "Evaluate").click().run()
    until(lambda: len(bench.measured()) == 5)
    prune(at, 0.1)
    assert at.query_params["prune"] == "facts:0.1:activation"
    widget(at.selectbox, "On the rows of").set_value("manners").run()
    widget(at.button, "Evaluate").click().run()
    until(lambda: len(bench.measured()) == 6)
    at.run()
    measured = bench.measured()
    own = [each for each in measured.recipes if each.prune is not None]
    assert len(own) == 1 and own[0].prune is not None
    assert own[0].prune.objective == "manners" and len(own[0].prune.rows) == 12
    assert len(measured.like(own[0])) == 1  # its surface has no other point
    assert "pruned 0.1 on manners" in measured.text(measured.recipes.index(own[0]))
    assert widget(at.button, "Evaluate").disabled
    assert not at.exception


def test_undo_redo_and_reset_take_it_along(bench: Workbench) -> None:
    at = page("explore").run()
    assert at.button(key="hand_undo").disabled
    prune(at, 0.1)
    prune(at, 0.2)
    at.button(key="hand_undo").click().run()
    assert widget(at.slider, SHARE).value == 0.1
    at.button(key="hand_redo").click().run()
    assert widget(at.slider, SHARE).value == 0.2
    at.button(key="hand_reset").click().run()
    assert widget(at.slider, SHARE).value == 0.0
    prune(at, 0.15)
    at.button(key="hand_undo").click().run()
    assert widget(at.slider, SHARE).value == 0.0
    assert not at.exception


def test_a_press_that_came_along_with_a_move_means_what_was_moved(bench: Workbench) -> None:
    at = page("explore").run()
    widget(at.slider, SHARE).set_value(0.05)
    at.button(key="compare_recipe").click().run()  # both are heard in one run
    (recipe,) = at.session_state["tray"]
    assert recipe.prune is not None and recipe.prune.ratio == 0.05


def test_an_address_leads_back_to_it(bench: Workbench) -> None:
    at = page("explore").run()
    prune(at, 0.1)
    at.button(key="compare_recipe").click().run()
    at.run()
    again = page("explore")
    for name in ("method", "c", "prune", "points"):
        again.query_params[name] = at.query_params[name]
    again.run()
    again.run()
    assert widget(again.slider, SHARE).value == 0.1
    assert again.session_state["tray"] == at.session_state["tray"]
    export = page("export")
    for name in ("method", "c", "prune"):
        export.query_params[name] = at.query_params[name]
    export.run()
    assert "pruned 0.1 on facts" in texts(export) and not export.exception


def test_an_address_that_cannot_be_used_says_why(bench: Workbench) -> None:
    for said, why in (
        ("facts:0.1", "not objective:ratio:variant"),
        ("facts:much:activation", "not a number"),
        ("nobody:0.1:activation", "no objective with rows named"),
    ):
        at = page("explore")
        at.query_params["method"] = "task_arithmetic"
        at.query_params["c"] = "helpful:1"
        at.query_params["prune"] = said
        at.run()
        assert why in at.session_state["address_refused"] and not at.exception


def test_recipes_go_round_an_address(bench: Workbench) -> None:
    data = {"objective": "facts", "ratio": 0.1, "variant": "gradient"}
    recipe = resolve(
        recipe_from_dict({"method": "pcb", "coefficients": {"helpful": 0.5}, "prune": data}),
        bench.names,
    )
    said = {name: text for name, text in address.of_recipe(recipe, bench.names).items() if text}
    assert address.to_recipe(said, bench.names) == recipe
    plain = resolve(Recipe("pcb", {"helpful": 0.5}), bench.names)
    assert address.of_recipe(plain, bench.names)["prune"] is None
