"""The Export page, driven without a browser."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from pages.parts.backend import Backend
from tests.pages.conftest import page, texts, until


def opened(backend: Backend, point: str | None = None) -> AppTest:
    at = page("export")
    if point is not None:
        at.query_params["point"] = point
    return at.run()


def export(at: AppTest, backend: Backend, out: Path) -> AppTest:
    at.text_input[0].set_value(str(out))
    [button] = [each for each in at.button if each.label == "Export"]
    button.click().run()
    tasks = [task for name, task in backend._tasks.items() if name.endswith(":export")]
    if tasks:
        until(lambda: tasks[-1].status.over)
        at.run()
    return at


def test_without_points_it_says_so(home: Path) -> None:
    at = page("export").run()
    assert not at.exception
    assert "Nothing to export yet" in texts(at)


def test_the_point_handed_over_is_shown_with_recipe_and_scores(backend: Backend) -> None:
    point = backend.measured().ids[2]
    at = opened(backend, point)
    assert not at.exception
    assert at.selectbox[0].value == point
    assert "model: helpful" in texts(at)
    assert "facts ↑  0.800 ± 0.020" in texts(at)


def test_an_unknown_point_is_said(backend: Backend) -> None:
    at = opened(backend, "000000000000")
    assert not at.exception
    assert "no point 000000000000" in texts(at)


def test_an_export_lists_what_was_written(backend: Backend, tmp_path: Path) -> None:
    at = export(opened(backend), backend, tmp_path / "out")
    assert not at.exception
    shown = texts(at)
    assert "Exported." in shown and str(tmp_path / "out") in shown
    assert "model.safetensors      1.5 kB" in shown
    assert "Verified: largest difference of a logit 0." in shown
    assert f"vllm serve {tmp_path / 'out'}" in shown


def test_a_directory_with_files_in_it_is_refused_at_once(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    at = export(opened(backend), backend, tmp_path / "out")
    assert "Nothing was written." in texts(at) and "not empty" in texts(at)
    assert (tmp_path / "out" / "mine").read_text() == "x"


def test_a_failure_of_the_engine_is_shown_with_its_reason(backend: Backend, tmp_path: Path) -> None:
    at = export(opened(backend), backend, tmp_path / "full")
    assert not at.exception
    assert "the disk is full" in texts(at)
