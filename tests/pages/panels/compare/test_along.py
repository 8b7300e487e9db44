"""A column along a slider: where there is a map, what is asked for it, and what comes of it."""

from __future__ import annotations

import json
from typing import Any

from streamlit.testing.v1 import AppTest

from studio.workbench import Workbench
from tests.app_fixtures import texts, until
from tests.pages import toy
from tests.pages.test_compare import opened, press

STEERED = "proxy_tuning(helpful:0.5;terse:0.25)"


def mapped(at: AppTest, bench: Workbench) -> AppTest:
    press(at, "Map")
    assert not at.exception
    [task] = [task for name, task in bench._tasks.items() if name.endswith(":map")]
    until(lambda: task.status.over)
    return at.run()


def ribbon(at: AppTest) -> dict[str, Any]:
    [found] = [
        json.loads(each.proto.json)
        for each in at.get("bidi_component")
        if each.proto.component_name.endswith("ribbon")
    ]
    return found


def test_only_columns_that_add_up_logits_have_a_map(bench: Workbench) -> None:
    at = opened("base", "task_arithmetic(helpful:0.5)", "logit_fusion(helpful:1)(kind:forward_kl)")
    assert "Along a slider" not in [each.value for each in at.subheader]
    at = opened("base", STEERED)
    boxes = {each.label: each.options for each in at.selectbox}
    assert boxes["Slider"] == ["helpful", "terse"]
    assert boxes["Column"] == ["B · proxy_tuning(helpful 0.5, terse 0.25)"]
    fused = opened("logit_fusion(helpful:1)")  # without helpful the sum is 0
    assert {each.label: each.options for each in fused.selectbox}["Slider"] == ["base", "terse"]


def test_the_prompts_of_the_answers_are_mapped(bench: Workbench) -> None:
    at = mapped(opened(STEERED), bench)
    [task] = [task for name, task in bench._tasks.items() if name.endswith(":map")]
    payload = task.handle.job.payload
    assert (payload["slider"], payload["range"]) == ("helpful", [0.0, 2.0])
    assert payload["recipe"]["coefficients"] == {"helpful": 0.5, "terse": 0.25}
    assert "recipes" not in payload and len(payload["prompts"]) == 3
    data = ribbon(at)
    assert (data["at"], data["low"], data["high"], data["full"]) == (0.5, 0.0, 2.0, False)
    assert [each["ends"] for each in data["rows"]] == [[0.0, 1.0, 2.0]] * 3
    assert data["rows"][0]["texts"] == ["one", toy.HOSTILE]
    assert toy.HOSTILE not in texts(at)


def test_a_reloaded_page_finds_its_map_again(bench: Workbench) -> None:
    at = opened("proxy_tuning(helpful:1)", STEERED)
    boxes = {each.label: each for each in at.selectbox}
    boxes["Column"].select_index(1).run()
    {each.label: each for each in at.selectbox}["Slider"].select_index(1).run()
    before = ribbon(at := mapped(at, bench))
    assert before["slider"] == "terse"
    again = opened("proxy_tuning(helpful:1)", STEERED, map=at.query_params["map"])
    assert ribbon(again) == before
    chosen = {each.label: each.value for each in again.selectbox}
    assert chosen["Slider"] == "terse" and chosen["Column"].startswith("B ·")
    another = opened(STEERED, map=at.query_params["map"][:-1])
    assert not [each for each in another.get("bidi_component") if "ribbon" in each.proto.json]
    assert "Press Map" in texts(another)


def test_a_map_that_fails_says_why(bench: Workbench) -> None:
    at = mapped(opened(f"proxy_tuning(helpful:{toy.REFUSED})"), bench)
    assert "There is no map." in [each.value for each in at.error]
    assert "the logits are not finite" in texts(at)


def test_top_p_has_no_map(bench: Workbench) -> None:
    at = opened(STEERED)
    for label, value in (("Temperature", 1.0), ("Top p", 0.9)):
        [box] = [each for each in at.number_input if each.label == label]
        box.set_value(value)
    press(at, "Answer")
    [button] = [each for each in at.button if each.label == "Map"]
    assert button.disabled and "use temperature 0, or top p 1" in texts(at)
