"""The Export page, driven without a browser."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from streamlit.testing.v1 import AppTest

from engine.counted import size_text
from engine.recipe import Recipe, resolve
from studio.points.remarks import Remark
from studio.task import Task
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, until, widget
from tests.families import FamilyFiles
from tests.pages import toy
from ui import address, tray
from ui.recipe import Hand


def opened(bench: Workbench, point: str | None = None) -> AppTest:
    at = page("export")
    if point is not None:
        at.query_params["point"] = point
    return at.run()


def heading(at: AppTest) -> list[str]:
    """The lines that say what will be written, the last of them the point."""
    values = [str(each.value) for each in at.text]
    end = next(n for n, each in enumerate(values) if each.startswith(("Point ", "Not measured y")))
    return values[max(0, end - 3) : end + 1]


def task(bench: Workbench) -> Task:
    """The latest export."""
    [found] = [each for name, each in bench._tasks.items() if name.endswith(":export")]
    return found


def start(at: AppTest, out: Path) -> AppTest:
    widget(at.text_input, "Directory on this server").set_value(str(out))
    return at.button(key="start_export").click().run()


def export(at: AppTest, bench: Workbench, out: Path) -> AppTest:
    start(at, out)
    until(lambda: task(bench).status.over)
    return at.run()


def test_without_points_it_says_so(home: Path) -> None:
    at = page("export").run()
    assert not at.exception
    assert "Nothing to export yet" in texts(at)
    assert "The models are being scored" in texts(at)


def test_the_point_handed_over_is_shown_with_recipe_and_scores(bench: Workbench) -> None:
    point = bench.measured().ids[2]
    at = opened(bench, point)
    assert not at.exception
    assert widget(at.selectbox, "Point").value == point
    said = ["helpful", "one model of the family, unmerged", f"Point {point}"]
    assert heading(at)[-3:] == said
    assert "model: helpful" in texts(at)
    scores = at.dataframe[0].value
    assert list(scores["objective"]) == ["facts ↑", "manners ↑", "loss ↓"]
    assert scores["explored"][0] == "0.800 ± 0.020 [0.751, 0.841]"
    assert set(scores["held back"]) == {"not measured yet"}
    assert "scored once, at export" in texts(at)


def test_a_measured_point_can_be_served_without_an_export(bench: Workbench) -> None:
    point = bench.measured().ids[2]
    at = opened(bench, point)
    [line] = [each.value for each in at.code if "engine serve" in each.value]
    words = ["serve", str(bench.study.path), "--point", point, "--workspace", str(bench.workspace)]
    assert shlex.split(line)[-6:] == words


def test_any_measured_point_by_its_id(bench: Workbench) -> None:
    measured = bench.measured()
    other = measured.ids[3]
    at = opened(bench, measured.ids[2])
    widget(at.text_input, "Or enter its id").set_value(other[:6]).run()
    assert heading(at)[-3] == "terse" == measured.recipes[3].parameters["model"]
    widget(at.text_input, "Or enter its id").set_value("ffffff").run()
    assert "no point ffffff" in texts(at) and heading(at)[-3] == "terse"


def test_an_id_in_the_address_is_shown_as_text(bench: Workbench) -> None:
    at = page("export")
    at.query_params["point"] = "\x1b[31m"
    assert r"This study has no point \x1b[31m." in texts(at.run())


def test_what_will_be_written_is_told_beforehand(bench: Workbench, family: FamilyFiles) -> None:
    [base] = [
        point
        for point, recipe in zip(bench.measured().ids, bench.measured().recipes, strict=True)
        if recipe.parameters["model"] == "base"
    ]
    at = opened(bench, base)
    [label] = [each.label for each in at.expander if each.label.startswith("Will write")]
    assert "files;" in label and "free on that disk" in label
    lines = texts(at).splitlines()
    for each in family.base.glob("*.safetensors"):
        [line] = [line for line in lines if line.startswith(each.name)]
        assert line.endswith(size_text(each.stat().st_size))
    assert any(line.startswith("README.md") and "about" in line for line in lines)


def test_an_export_lists_what_was_written(bench: Workbench, tmp_path: Path) -> None:
    at = export(opened(bench), bench, tmp_path / "out")
    assert not at.exception
    shown = texts(at)
    assert "Exported." in shown and str(tmp_path / "out") in shown
    assert any(line.split() == ["model.safetensors", "1.5", "kB"] for line in shown.splitlines())
    assert "Verified: largest logit difference 0." in shown
    assert f"vllm serve {tmp_path / 'out'}" in shown


def test_scores_on_held_back_rows_stand_beside_the_others(bench: Workbench, tmp_path: Path) -> None:
    at = export(opened(bench, bench.measured().ids[2]), bench, tmp_path / "out")
    assert at.dataframe[0].value["held back"][0] == "0.700 ± 0.020 [0.646, 0.749]"


def test_every_export_is_listed_newest_first(bench: Workbench, tmp_path: Path) -> None:
    at = opened(bench, bench.measured().ids[0])
    for name in ("first", "second"):
        export(at, bench, tmp_path / name)
    shutil.rmtree(tmp_path / "first")
    listed = at.run().dataframe[1].value
    assert list(listed["where"]) == [
        str(tmp_path / "second"), f"no longer there: {tmp_path / 'first'}"
    ]  # fmt: skip
    assert listed["MB"].tolist() == [0.001535] * 2 and set(listed["checked"]) == {"yes"}
    assert set(listed["study"]) == {"pair"}


def test_an_export_is_listed_by_the_name_of_its_point(bench: Workbench, tmp_path: Path) -> None:
    point = bench.measured().ids[2]
    at = export(opened(bench, point), bench, tmp_path / "out")
    bench.remarks.say({point: Remark(name="the calm one")})
    listed = next(each.value for each in at.run().dataframe if "where" in each.value)
    assert list(listed["model"]) == ["the calm one · helpful"]


def test_the_directory_is_found_by_browsing(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    at = opened(bench, bench.measured().ids[0])
    field = widget(at.text_input, "Directory on this server")
    new = Path(field.value).name
    field.set_value(str(tmp_path / "models" / "not there")).run()
    at.button(key=f"browse_open:{field.key}").click().run()
    at.selectbox(key=f"browse_in:{field.key}:{tmp_path / 'models'}").set_value(0).run()
    take = at.button(key=f"browse_take:{field.key}")
    assert take.label == f"Choose a new {new} in it"
    take.click().run()
    assert not at.exception and not at.warning
    chosen = widget(at.text_input, "Directory on this server").value
    assert chosen == str(tmp_path / "models" / "mine" / new)
    at.button(key="start_export").click().run()
    until(lambda: task(bench).status.over)
    assert (tmp_path / "models" / "mine" / new / "model.safetensors").exists()


def test_an_address_with_fewer_digits_than_the_recipe_in_hand_means_that(bench: Workbench) -> None:
    recipe = mixed(bench, 0.123456789)
    at = by_navigation(recipe, export_address={})
    linked = address.of_recipe(recipe, bench.names)
    at.query_params.update({name: each for name, each in linked.items() if each})
    at.session_state["export_address"] = {}
    at.run()
    assert at.session_state["hand"].coefficients["task_arithmetic"]["helpful"] == 0.123456789


def test_a_directory_with_files_in_it_is_refused_at_once(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    at = start(opened(bench), tmp_path / "out")
    assert "Nothing was written." in texts(at) and "not empty" in texts(at)
    assert (tmp_path / "out" / "mine").read_text() == "x"
    assert not any(name.endswith(":export") for name in bench._tasks)


def test_a_failure_of_the_engine_is_shown_with_its_reason(bench: Workbench, tmp_path: Path) -> None:
    at = export(opened(bench), bench, tmp_path / "full")
    assert not at.exception
    assert "the disk is full" in texts(at) and "Nothing was left behind." in texts(at)
    assert len(at.dataframe) == 1  # no history


def test_a_failed_verification_says_that_nothing_stayed(bench: Workbench, tmp_path: Path) -> None:
    at = export(opened(bench), bench, tmp_path / "different")
    assert "reloaded logits differ" in texts(at) and "Nothing was left behind." in texts(at)
    assert "Exported." not in texts(at)


def test_a_running_export_is_cancelled(
    bench: Workbench, service: toy.Service, tmp_path: Path
) -> None:
    service.pause = 5.0
    at = start(opened(bench), tmp_path / "out")
    until(lambda: task(bench).status.state == "running")
    at.run()
    assert at.button(key="start_export").disabled
    widget(at.button, "Cancel").click().run()
    until(lambda: task(bench).status.over)
    assert "Cancelled" in texts(at.run())
    assert not (tmp_path / "out").exists()


def test_what_is_in_the_tray_can_be_chosen(bench: Workbench) -> None:
    at = page("export")
    terse = bench.measured().recipes[3]
    at.session_state["tray"] = [terse]
    assert tray.LIMIT and bench.measured().ids[3] in widget(at.run().selectbox, "Point").options[-1]


def by_navigation(hand: Recipe, **kept: object) -> AppTest:
    """The page as a link of the navigation leads to it: a recipe in hand, a bare address."""
    at = page("export")
    at.session_state["hand"] = Hand()
    at.session_state["hand"].load(hand)
    for name, value in kept.items():
        at.session_state[name] = value
    return at.run()


def mixed(bench: Workbench, helpful: float = 0.75) -> Recipe:
    return resolve(Recipe("task_arithmetic", {"helpful": helpful, "terse": 0.25}), bench.names)


def test_the_recipe_in_hand_is_the_one_that_is_written(bench: Workbench, tmp_path: Path) -> None:
    """The navigation forgot it: the first point of the front was written instead."""
    recipe = mixed(bench)
    bench.store.append(toy.score_rows(recipe, bench.study))
    at = by_navigation(recipe)
    point = bench.point_id(recipe)
    said = ["task_arithmetic", "helpful 0.75, terse 0.25", f"Point {point}"]
    assert heading(at)[-3:] == said
    assert widget(at.selectbox, "Point").value == point
    assert at.query_params["point"] == point  # a reload, or a link, leads to it
    export(at, bench, tmp_path / "out")
    assert task(bench).handle.job.payload["recipe"] == recipe.as_dict()
    assert heading(at)[-3:] == said


def test_another_point_that_is_chosen_is_in_hand_from_then_on(bench: Workbench) -> None:
    recipe = mixed(bench)
    bench.store.append(toy.score_rows(recipe, bench.study))
    at = by_navigation(recipe)
    helpful = bench.measured().recipes[2]
    widget(at.selectbox, "Point").set_value(bench.measured().ids[2]).run()
    assert heading(at)[-3] == "helpful" and at.session_state["hand"].method == "single"
    back = by_navigation(helpful, export_address=dict(at.query_params))
    assert heading(back)[-3] == "helpful"


def test_what_is_in_hand_and_not_measured_can_be_measured_first(bench: Workbench) -> None:
    recipe = mixed(bench, 0.4)
    at = by_navigation(recipe)
    assert not at.exception
    assert heading(at)[-3:] == ["task_arithmetic", "helpful 0.4, terse 0.25", "Not measured yet"]
    point = bench.point_id(recipe)
    assert widget(at.text_input, "Directory on this server").value.endswith(f"pair-{point}")
    assert at.query_params["c"] == "helpful:0.4,terse:0.25" and "point" not in at.query_params
    at.button(key="evaluate_first").click().run()
    until(lambda: point in bench.measured().row_of)
    assert heading(at.run())[-1] == f"Point {point}"
    assert not at.button(key="start_export").disabled


def test_what_is_in_hand_and_not_measured_can_be_written(bench: Workbench, tmp_path: Path) -> None:
    recipe = mixed(bench, 0.4)
    export(by_navigation(recipe), bench, tmp_path / "out")
    assert task(bench).handle.job.payload["recipe"] == recipe.as_dict()
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_an_address_names_a_recipe_that_is_not_measured(bench: Workbench) -> None:
    at = page("export")
    at.query_params.update({"method": "pcb", "c": "helpful:1,terse:0.5", "p": "ratio:0.2"})
    assert heading(at.run())[-4:-1] == ["pcb", "helpful 1, terse 0.5", "ratio 0.2"]
    at = page("export")
    at.query_params.update({"method": "pcb", "c": "nobody:1"})
    assert "This address cannot be used" in texts(at.run()) and not at.exception


def test_an_export_is_no_success_of_another_recipe(bench: Workbench, tmp_path: Path) -> None:
    at = export(opened(bench, bench.measured().ids[0]), bench, tmp_path / "first")
    assert "Exported." in texts(at)
    widget(at.selectbox, "Point").set_value(bench.measured().ids[2]).run()
    assert heading(at)[-3] == "helpful"
    assert "Exported." not in texts(at) and not at.success
    [listed] = [each.value for each in at.dataframe if "where" in each.value]
    assert listed["where"].tolist() == [str(tmp_path / "first")]
    assert listed["model"].tolist() == ["base"]
    widget(at.selectbox, "Point").set_value(bench.measured().ids[0]).run()
    assert "Exported." in texts(at)


def test_a_failure_of_another_recipe_says_that_it_is_not_this_one(
    bench: Workbench, tmp_path: Path
) -> None:
    at = export(opened(bench, bench.measured().ids[0]), bench, tmp_path / "full")
    widget(at.selectbox, "Point").set_value(bench.measured().ids[2]).run()
    assert "A different model failed: Exporting base." in texts(at)
    assert "the disk is full" in texts(at) and not at.error
