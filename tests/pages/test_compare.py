"""The Compare page, driven without a browser: the tray, what is asked, answers and examples."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.recipe import Recipe, point_id, resolve
from engine.scoring.data import read_rows
from studio.points.remarks import Remark
from studio.task import Task
from studio.votes.asked import judges_of
from studio.votes.ballots import given
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, until, widget
from tests.pages import toy
from tests.studio.votes.test_judge import Endpoint, endpoint
from ui import components

__all__ = ["endpoint"]


def opened(*points: str, **query: str) -> AppTest:
    at = page("compare")
    if points:
        at.query_params["points"] = ",".join(points)
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def press(at: AppTest, label: str) -> AppTest:
    [found] = [each for each in at.button if each.label == label]
    assert not found.disabled, f"{label} is disabled"
    return found.click().run()


def comparison(bench: Workbench) -> Task:
    [task] = [task for name, task in bench._tasks.items() if name.endswith(":compare")]
    return task


def answered(at: AppTest, bench: Workbench) -> AppTest:
    press(at, "Answer")
    assert not at.exception
    until(lambda: comparison(bench).status.over)
    return at.run()


def drawn(at: AppTest) -> dict[str, Any]:
    """What the component was given."""
    [component] = [
        each.proto
        for each in at.get("bidi_component")
        if each.proto.component_name.endswith("answers")
    ]
    return json.loads(component.json)


def examples_of(at: AppTest) -> Any:
    """The table of examples."""
    [found] = [each.value for each in at.dataframe if "line" in each.value]
    return found


def rows_asked(at: AppTest) -> list[int]:
    [box] = [each for each in at.multiselect if each.label.startswith("Rows")]
    return list(box.value)


def said(at: AppTest) -> list[list[str]]:
    """The texts drawn, [prompt][column]."""
    return [
        ["".join(text for kind, text in cell["pieces"] if kind != "gone") for cell in row["cells"]]
        for row in drawn(at)["rows"]
    ]


def test_an_empty_tray_says_what_to_do(bench: Workbench) -> None:
    at = opened()
    assert not at.exception
    assert "Nothing to compare yet." in texts(at)
    assert not [each for each in at.button if each.label == "Answer"]


def test_models_and_points_are_added_and_removed_and_the_address_follows(
    bench: Workbench,
) -> None:
    at = opened()
    box = widget(at.selectbox, "Add a model or a point of the front")
    assert list(box.options) == ["base", "target", "helpful", "terse"]
    box.select_index(2).run()
    widget(at.selectbox, "Add a model or a point of the front").select_index(0).run()
    assert at.query_params["points"] == "helpful,base"
    assert "A · helpful" in texts(at) and "B · base" in texts(at)
    [first, _] = [each for each in at.button if each.label == "Remove"]
    first.click().run()
    assert at.query_params["points"] == "base"
    assert "A · base" in texts(at) and "helpful" not in texts(at).replace("2 experts", "")


def test_the_address_restores_the_tray_with_scores(bench: Workbench) -> None:
    at = opened("helpful", bench.measured().ids[0], "000000000000")
    assert not at.exception
    shown = texts(at)
    assert "A · helpful" in shown and "B · base" in shown
    assert "This study has no 000000000000." in shown
    assert "facts ↑  0.800 ± 0.020 [0.751, 0.841]" in shown


def test_what_an_address_names_in_vain_is_shown_as_text_and_counted(bench: Workbench) -> None:
    at = opened("\x1b[31m", *(f"none{each}" for each in range(40)))
    assert not at.exception
    shown = texts(at)
    assert r"This study has no \x1b[31m." in shown and "\x1b" not in shown
    assert shown.count("This study has no ") == 20 and "names 21 more" in shown


def test_a_full_tray_takes_no_more(bench: Workbench) -> None:
    at = opened("base", "target", "helpful", "terse")
    assert widget(at.selectbox, "Add a model or a point of the front").disabled


def test_the_first_rows_are_asked_with_the_objectives_own_settings(bench: Workbench) -> None:
    at = answered(opened("base", "helpful"), bench)
    payload = comparison(bench).handle.job.payload
    rows = read_rows(bench.objectives[0], "explore")
    assert payload["prompts"] == [row.prompt for row in rows[:3]]
    assert (payload["temperature"], payload["max_new_tokens"], payload["chat"]) == (0, 64, False)
    assert "Answered." in texts(at)
    assert [row["prompt"] for row in drawn(at)["rows"]] == payload["prompts"]
    assert said(at)[0] == [f"{toy.HOSTILE} base 0", f"{toy.HOSTILE} helpful 0"]
    notes = [cell["note"] for row in drawn(at)["rows"] for cell in row["cells"]]
    assert notes == ["2 tokens"] * 2 + ["cut after 64 tokens"] * 4


def test_generated_text_is_data_of_the_component_and_nowhere_markup(bench: Workbench) -> None:
    at = answered(opened("base"), bench)
    assert toy.HOSTILE in said(at)[0][0]
    elsewhere = [*at.markdown, *at.caption, *at.error, *at.get("html")]
    assert not any("onerror" in str(getattr(each, "value", "")) for each in elsewhere)
    source = (components.HERE / "answers.js").read_text(encoding="utf-8")
    assert "textContent" in source
    for way in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "DOMParser"):
        assert way not in source


def test_typed_prompts_and_settings_are_asked(bench: Workbench) -> None:
    at = opened("base", "helpful")
    widget(at.selectbox, "Prompts").select("typed").run()
    widget(at.text_area, "Prompts, a blank line between two").set_value("one\nmore\n\n two \n")
    widget(at.number_input, "Temperature").set_value(0.7)
    widget(at.number_input, "Seed").set_value(5)
    widget(at.number_input, "Max new tokens").set_value(9)
    at = answered(at, bench)
    payload = comparison(bench).handle.job.payload
    assert payload["prompts"] == ["one\nmore", "two"] and "stop" not in payload
    assert (payload["temperature"], payload["seed"], payload["max_new_tokens"]) == (0.7, 5, 9)
    assert payload["chat"] is True

    press(at, "Regenerate with another seed")
    until(lambda: comparison(bench).status.over)
    assert comparison(bench).handle.job.payload == payload | {"seed": 6}
    at.run()
    assert widget(at.number_input, "Seed").value == 6
    assert said(at)[0][0].endswith("base 6")


def test_the_same_seed_again_is_not_offered_at_temperature_0(bench: Workbench) -> None:
    at = answered(opened("base"), bench)
    assert widget(at.button, "Regenerate with another seed").disabled
    assert widget(at.button, "Stop").disabled


def test_nothing_to_ask_is_said(bench: Workbench) -> None:
    at = opened("base")
    widget(at.selectbox, "Prompts").select("typed").run()
    press(at, "Answer")
    assert "There is no prompt: enter one." in texts(at)
    widget(at.text_area, "Prompts, a blank line between two").set_value("x\n\n" * 17)
    press(at, "Answer")
    assert "17 prompts: 16 can be answered at once." in texts(at)
    assert not [name for name in bench._tasks if name.endswith(":compare")]


def test_differences_are_marked_against_the_column_chosen(bench: Workbench) -> None:
    at = answered(opened("base", "helpful"), bench)
    widget(at.selectbox, "Differences").select("against A · base").run()
    first, second = drawn(at)["rows"][0]["cells"]
    assert {kind for kind, _ in first["pieces"]} == {"same"}
    assert [piece for piece in second["pieces"] if piece[0] != "same"] == [
        ["gone", "base"],
        ["new", "helpful"],
    ]


def test_answer_stays_the_same_button_when_the_rows_change(bench: Workbench) -> None:
    """Streamlit drops a press on a button whose id the last run has not drawn."""
    at = opened("base", "helpful")
    before = widget(at.button, "Answer").id
    asks = at.session_state["asks"]
    [ask] = asks.values()
    ask.choose([2, 3])
    assert ask.generation
    at.run()
    assert list(widget(at.multiselect, "Rows, by their line in the data").value) == [2, 3]
    assert widget(at.button, "Answer").id == before
    widget(at.selectbox, "Prompts").select("typed").run()
    assert widget(at.button, "Answer").id == before


def test_stop_keeps_what_was_written(bench: Workbench, service: toy.Service) -> None:
    service.pause = 0.5
    at = opened("base", "helpful")
    press(at, "Answer")
    until(lambda: comparison(bench).status.texts)
    at.run()
    assert drawn(at)["writing"] and "Starting." in texts(at)
    press(at, "Stop")
    until(lambda: comparison(bench).status.over)
    at.run()
    assert "Stopped. What was written so far is kept." in texts(at)
    assert said(at)[0][0] and not said(at)[-1][1]
    assert [state for _, state in drawn(at)["heads"]] == ["stopped", "stopped"]


def test_a_column_that_fails_is_said_beside_the_others(bench: Workbench) -> None:
    bad = resolve(Recipe("task_arithmetic", {"helpful": toy.REFUSED}), bench.names)
    at = page("compare")
    at.session_state["tray"] = [
        bad,
        resolve(Recipe("single", {}, {"model": "base"}), bench.names),
    ]
    at = answered(at.run(), bench)
    heads = [state for _, state in drawn(at)["heads"]]
    assert heads == ["failed: the logits are not finite", "done"]
    assert at.query_params["points"] == "task_arithmetic(helpful:1.23;terse:0),base"


def test_a_worker_that_fails_is_said_with_its_reason(
    bench: Workbench, service: toy.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("the device fell off")

    monkeypatch.setattr(service, "compare", fails)
    at = answered(opened("base"), bench)
    assert "The worker could not answer." in texts(at)
    assert "the device fell off" in texts(at)


def test_a_reloaded_page_finds_its_answers_again(bench: Workbench) -> None:
    at = answered(opened("base", "helpful"), bench)
    job = at.query_params["answers"]
    before = said(at)
    at = opened("base", "helpful", answers=job)
    assert said(at) == before
    at = opened("helpful", "terse", answers=job)
    assert [row[0] for row in said(at)] == [row[1] for row in before]
    assert drawn(at)["heads"][1][1] == "not asked yet: press Answer"


def give_values(bench: Workbench, recipe: Recipe, values: list[float]) -> None:
    [row] = [each for each in toy.score_rows(recipe, bench.study) if each["objective"] == "facts"]
    bench.store.append([row | {"n": len(values), "values": values}])


def test_examples_show_where_columns_differ_and_become_prompts(bench: Workbench) -> None:
    rows = read_rows(bench.objectives[0], "explore")
    models = [resolve(Recipe("single", {}, {"model": m}), bench.names) for m in ("base", "helpful")]
    give_values(bench, models[0], [0.0] * len(rows))
    give_values(bench, models[1], [float(n in (2, 4)) for n in range(len(rows))])
    at = opened("base", "helpful")
    assert f"2 of {len(rows)} differ." in texts(at)
    table = examples_of(at)
    assert list(table["B helpful"]) == ["right", "right"], "where all agree nothing is to be seen"
    assert list(table["line"]) == [rows[2].line, rows[4].line]
    assert list(table["target"]) == ["\n".join(rows[n].targets) for n in (2, 4)]
    box = widget(at.selectbox, "Show")
    assert list(box.options) == [
        "columns differ (2)", f"every example ({len(rows)})", "all right (0)",
        f"all wrong ({len(rows) - 2})", "A base right, B helpful wrong (0)",
        "B helpful right, A base wrong (2)",
    ]  # fmt: skip
    box.set_value("every example").run()
    assert len(examples_of(at)) == len(rows) and at.query_params["show"] == "every example"
    again = opened("base", "helpful", show="all wrong")
    assert len(examples_of(again)) == len(rows) - 2


def test_a_name_that_a_person_gave_is_wherever_a_column_is_told(bench: Workbench) -> None:
    rows = read_rows(bench.objectives[0], "explore")
    models = [resolve(Recipe("single", {}, {"model": m}), bench.names) for m in ("base", "helpful")]
    give_values(bench, models[0], [0.0] * len(rows))
    give_values(bench, models[1], [float(n == 3) for n in range(len(rows))])
    at = answered(opened("base", "helpful"), bench)
    bench.remarks.say({bench.point_id(models[1]): Remark(name="the calm one")})
    at.run()
    assert [head for head, _ in drawn(at)["heads"]] == ["A", "B · the calm one"]
    options = widget(at.selectbox, "Differences").options
    assert options[2] == "against B · the calm one · helpful"
    assert "B the calm one" in examples_of(at)
    assert "A base right, B the calm one wrong (0)" in widget(at.selectbox, "Show").options


def test_prompts_begin_where_columns_differ_until_a_person_chooses(bench: Workbench) -> None:
    rows = read_rows(bench.objectives[0], "explore")
    models = [resolve(Recipe("single", {}, {"model": m}), bench.names) for m in ("base", "helpful")]
    give_values(bench, models[0], [0.0] * len(rows))
    give_values(bench, models[1], [float(n in (7, 9)) for n in range(len(rows))])
    at = opened("base", "helpful")
    assert rows_asked(at) == [7, 9, 0]
    [box] = [each for each in at.multiselect if each.label.startswith("Rows")]
    box.set_value([1])
    answered(at, bench)
    assert rows_asked(at.run()) == [1]


def test_a_target_and_the_scorers_word_stand_beside_each_answer(bench: Workbench) -> None:
    rows = read_rows(bench.objectives[0], "explore")
    models = [resolve(Recipe("single", {}, {"model": m}), bench.names) for m in ("base", "helpful")]
    give_values(bench, models[0], [0.0] * len(rows))
    give_values(bench, models[1], [float(n == 3) for n in range(len(rows))])
    at = answered(opened("base", "helpful"), bench)
    first, second, _ = drawn(at)["rows"]
    assert first["prompt"] == rows[3].prompt and first["target"] == "\n".join(rows[3].targets)
    assert [cell["verdict"] for cell in first["cells"]] == ["scored wrong", "scored right"]
    assert [cell["verdict"] for cell in second["cells"]] == ["scored wrong"] * 2
    widget(at.selectbox, "Prompts").select("typed").run()
    widget(at.text_area, "Prompts, a blank line between two").set_value("not of the data")
    [row] = drawn(answered(at, bench))["rows"]
    assert row["target"] == "" and [cell["verdict"] for cell in row["cells"]] == ["", ""]


def test_wins_are_told_with_how_sure_they_are_and_leave_as_csv(bench: Workbench) -> None:
    rows = read_rows(bench.objectives[0], "explore")
    models = [resolve(Recipe("single", {}, {"model": m}), bench.names) for m in ("base", "helpful")]
    give_values(bench, models[0], [0.0] * len(rows))
    give_values(bench, models[1], [float(n < 6) for n in range(len(rows))])
    at = opened("base", "helpful")
    said = f"A base wins 0, B helpful wins 6 of {len(rows)}: A base takes 0% [0%, 39%] of those"
    assert said in texts(at) and "sign test p 0.031" in texts(at)
    assert [each for each in at.get("download_button")], "what is shown can be taken along"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_page_reads_the_same_with_one_column_to_four(bench: Workbench, count: int) -> None:
    rows = read_rows(bench.objectives[0], "explore")
    names = ["base", "target", "helpful", "terse"][:count]
    for place, model in enumerate(names):
        recipe = resolve(Recipe("single", {}, {"model": model}), bench.names)
        give_values(bench, recipe, [float(n % 4 == place) for n in range(len(rows))])
    at = answered(opened(*names), bench)
    assert not at.exception
    shown = texts(at)
    assert all(f"{'ABCD'[place]} · {name}" in shown for place, name in enumerate(names))
    assert len(drawn(at)["heads"]) == count
    start = widget(at.selectbox, "Show").value
    assert start == ("every example" if count == 1 else "columns differ")
    assert shown.count(" wins ") == count * (count - 1)  # twice a pair


def test_a_mixture_s_head_says_all_of_it(bench: Workbench) -> None:
    pcb = resolve(Recipe("pcb", {"helpful": 1.0, "terse": 0.25}, {"ratio": 0.3}), bench.names)
    at = page("compare")
    at.session_state["tray"] = [pcb]
    lines = texts(at.run()).splitlines()
    place = lines.index("A · pcb")
    assert lines[place : place + 3] == ["A · pcb", "helpful 1, terse 0.25", "ratio 0.3"]


def test_the_address_leads_back_to_the_objective(bench: Workbench) -> None:
    at = opened("base", objective="loss")
    assert widget(at.selectbox, "Objective").value == "loss"
    widget(at.selectbox, "Objective").select("manners").run()
    assert at.query_params["objective"] == "manners"


def test_a_column_that_is_not_measured_is_said_and_evaluated(bench: Workbench) -> None:
    mixed = resolve(Recipe("task_arithmetic", {"helpful": 0.4}), bench.names)
    at = page("compare")
    at.session_state["tray"] = [mixed]
    at.run()
    assert "Not measured on facts: task_arithmetic(helpful 0.4)" in texts(at)
    press(at, "Evaluate")
    until(lambda: point_id(mixed, toy.FAMILY) in bench.measured().row_of)


def test_a_column_measured_without_a_score_is_not_offered_again(bench: Workbench) -> None:
    mixed = resolve(Recipe("task_arithmetic", {"helpful": 0.4}), bench.names)
    rows = toy.score_rows(mixed, bench.study)
    rows[0] |= {"mean": None, "stderr": None, "low": None, "high": None, "error": "all logits 0"}
    bench.store.append(rows)
    at = page("compare")
    at.session_state["tray"] = [mixed]
    at.run()
    assert not at.exception
    assert "no score: all logits 0" in texts(at)
    assert "Not measured on facts" not in texts(at)
    assert not [each for each in at.button if each.label == "Evaluate"]


def test_a_judge_votes_on_the_answers_once_its_cost_is_accepted(
    bench: Workbench, endpoint: Endpoint
) -> None:
    at = opened(*(point_id(each, toy.FAMILY) for each in bench.singles[:2]))
    answered(at, bench)
    widget(at.text_input, "Endpoint").input(endpoint.url)
    widget(at.text_input, "Judge's model").input("m").run()
    assert "calls, about" in texts(at) and not endpoint.asked
    button = at.button(key="judge_ask")
    assert button.disabled
    at.checkbox(key="judge_agreed").check().run()
    at.button(key="judge_ask").click().run()
    until(lambda: (now := judges_of(bench).now) is not None and now.over)
    at.run()
    said = texts(at)
    votes = [each for each in given(bench) if each.by == f"judge m at {endpoint.url}"]
    assert len(votes) == len(endpoint.asked) > 0 and not at.exception
    assert f"the left answer was chosen in {len(votes)} of {len(votes)}" in said
    assert "a bias" in said or len(votes) < 4
