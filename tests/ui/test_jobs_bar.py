"""What runs has a face on every page."""

from __future__ import annotations

import pytest

from engine.recipe import Recipe, resolve
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, until, widget
from tests.pages import toy
from ui import jobs_bar


@pytest.mark.parametrize("name", ["explore", "compare", "sweeps", "models", "export"])
def test_an_evaluation_is_shown_and_cancelled_on_every_page(
    bench: Workbench, service: toy.Service, name: str
) -> None:
    service.pause = 30.0
    wanted = resolve(Recipe("task_arithmetic", {"helpful": 0.9, "terse": 0.0}), bench.names)
    first = bench.evaluate([wanted], "Scoring the first", "a:evaluate")
    until(lambda: first.status.state == "running")
    second = bench.evaluate([wanted], "Scoring the second", "b:evaluate")
    at = page(name).run()
    assert not at.exception
    assert "Scoring the first" in texts(at)
    assert "Scoring the second: waiting for the worker" in texts(at)
    ours = [each for each in at.button if each.label == "Cancel"]
    assert len(ours) == 2
    ours[1].click().run()
    until(lambda: second.status.over)
    at.run()
    widget(at.button, "Cancel").click().run()
    until(lambda: first.status.over)
    at.run()
    assert "Scoring" not in texts(at)


def test_while_it_is_evaluated_a_recipe_is_not_to_be_evaluated(
    bench: Workbench, service: toy.Service
) -> None:
    at = page("explore").run()
    widget(at.slider, "helpful").set_value(0.8).run()
    service.pause = 0.8
    at.button(key="evaluate").click().run()
    [name] = [name for name in bench.tasks() if name.endswith(":evaluate")]
    until(lambda: len(bench.measured()) == 5)  # the first of its scores has come
    assert not bench.tasks()[name].status.over
    shown = at.run()
    assert shown.button(key="evaluate").disabled
    said = str([each.proto for each in shown.get("bidi_component")])
    assert "Being measured" in said and "in part" not in said
    bench.tasks()[name].handle.cancel()


def test_a_job_that_began_and_ended_between_two_looks_has_its_page_drawn(bench: Workbench) -> None:
    before = {title: jobs_bar.ended(bench, "a", title) for title in ("Models", "Compare")}
    wanted = resolve(Recipe("task_arithmetic", {"helpful": 0.9, "terse": 0.0}), bench.names)
    tasks = [bench.evaluate([wanted], "Scoring", key) for key in ("a:preview", "a:compare")]
    until(lambda: all(task.status.over for task in tasks))
    assert jobs_bar.keys(bench, "Models") == ()
    new = jobs_bar.ended(bench, "a", "Models") - before["Models"]
    assert new == {task.handle.id for task in tasks}
    assert jobs_bar.ended(bench, "a", "Compare") - before["Compare"] == {tasks[0].handle.id}
    assert not jobs_bar.ended(bench, "b", "Models")
