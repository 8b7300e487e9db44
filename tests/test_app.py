"""The frame: what `python app.py` passes on to the server it becomes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import app
from engine import private


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    found: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: found.append(command))
    for variable in app.SETTINGS.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(Path.cwd())
    monkeypatch.setenv(private.VARIABLE, "22")
    umask = os.umask(0o022)
    yield found
    os.umask(umask)


def test_options_become_settings_with_absolute_paths(
    started: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app.launch(["--study", "mine/study.yaml", "--port", "8600", "--device", "cpu"])
    assert os.environ["PARETOSCOPE_STUDY"] == str(tmp_path / "mine/study.yaml")
    assert os.environ["PARETOSCOPE_DEVICE"] == "cpu"
    assert "PARETOSCOPE_HOME" not in os.environ
    assert started[0][-2:] == ["--server.port", "8600"]
    assert Path.cwd() == app.ROOT


def test_an_empty_setting_is_none(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make app` without STUDY passes an empty one."""
    monkeypatch.setenv("PARETOSCOPE_STUDY", "")
    app.launch([])
    assert "PARETOSCOPE_STUDY" not in os.environ


def test_the_server_listens_on_loopback_and_sends_nothing() -> None:
    import tomllib

    settings = tomllib.loads((app.ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "127.0.0.1"
    assert set(settings["server"]["allowedHosts"]) == {"localhost", "127.0.0.1"}
    assert settings["browser"]["gatherUsageStats"] is False


@pytest.mark.parametrize("option", ["--study", "--workspace"])
def test_a_path_that_is_none_is_told(
    started: list[list[str]], capsys: pytest.CaptureFixture[str], option: str
) -> None:
    with pytest.raises(SystemExit) as end:
        app.launch([option, "~no-such-user/x"])
    assert end.value.code == 2 and not started
    assert f"{option}: '~no-such-user/x' is not a path" in capsys.readouterr().err


def test_the_study_is_open_before_a_page_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the browser would wait for is done while it loads: quietly, a bad study too."""
    import app
    from ui import opened

    asked: list[Path] = []
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PARETOSCOPE_STUDY", str(tmp_path / "none.yaml"))
    monkeypatch.setattr(opened, "settled", lambda: True)
    app.prepare()  # the page tells what is wrong, not this
    monkeypatch.setattr(opened, "_open", asked.append)
    app.prepare()
    assert asked == [tmp_path / "none.yaml"]
