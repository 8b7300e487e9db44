"""The Export page, driven without a browser."""

from __future__ import annotations

import shutil
from pathlib import Path

from streamlit.testing.v1 import AppTest

from studio.export.exports import size_text
from studio.task import Task
from studio.workbench import Workbench
from tests.app_fixtures import page, texts, until, widget
from tests.families import FamilyFiles
from tests.pages import toy
from ui import tray


def opened(bench: Workbench, point: str | None = None) -> AppTest:
    at = page("export")
    if point is not None:
        at.query_params["point"] = point
    return at.run()


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


def test_the_point_handed_over_is_shown_with_recipe_and_scores(bench: Workbench) -> None:
    point = bench.measured().ids[2]
    at = opened(bench, point)
    assert not at.exception
    assert widget(at.selectbox, "Point").value == point
    assert "model: helpful" in texts(at)
    scores = at.dataframe[0].value
    assert list(scores["objective"]) == ["facts ↑", "manners ↑", "loss ↓"]
    assert scores["explored"][0] == "0.800 ± 0.020 [0.751, 0.841]"
    assert set(scores["held back"]) == {"not measured yet"}
    assert "measured once, at export" in texts(at)


def test_any_measured_point_by_its_id(bench: Workbench) -> None:
    measured = bench.measured()
    other = measured.ids[3]
    at = opened(bench, measured.ids[2])
    widget(at.text_input, "Or its id").set_value(other[:6]).run()
    assert f"model: {measured.recipes[3].parameters['model']}" in texts(at)
    widget(at.text_input, "Or its id").set_value("ffffff").run()
    assert "no point ffffff" in texts(at) and "model: helpful" in texts(at)


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
    assert "files;" in label and "are free on that disk" in label
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
    assert "Verified: largest difference of a logit 0." in shown
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
    assert list(listed["size"]) == ["1.5 kB"] * 2 and set(listed["checked"]) == {"yes"}
    assert set(listed["study"]) == {"pair"}


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
