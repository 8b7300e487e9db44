"""What became of a point's rows on Explore, and the way from a count to the rows in Compare."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.demo.write import demo_in
from tests.app_fixtures import texts

APP = Path(__file__).parents[2] / "app.py"


def test_a_count_opens_its_rows_in_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("PARETOSCOPE_HOME", str(home))
    monkeypatch.setenv("PARETOSCOPE_STUDY", str(demo_in(home)))
    at = AppTest.from_file(str(APP), default_timeout=60)
    at.query_params["point"] = "a097b7100057"
    at.run()
    at.session_state["rows"] = True
    at.run()
    assert "facts: net -0.709 ± 0.027 of 278" in texts(at)
    assert "fluency: its rows are not right or wrong." in texts(at)
    at.button(key="rows:facts:lost").click().run()
    assert not at.exception
    assert [str(each) for each in at.session_state["tray"]][1:] == ["base", "helpful", "harmless"]
    show = next(each for each in at.selectbox if each.label == "Show")
    assert show.value == "A lost: wrong, where a parent is right"
    assert len(at.dataframe[-1].value) == 197
    asked = next(each for each in at.multiselect if each.label.startswith("Rows, by their line"))
    lost = at.dataframe[-1].value["line"].tolist()
    lines = [int(asked.options[each].split(":")[0]) for each in asked.indices]
    assert lines == lost[: len(lines)] != []
