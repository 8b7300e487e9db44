"""A family on disk, and the app over the toy engine in this process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import engine.jobs.local
from engine.jobs.inline import InlineExecutor
from studio.points import held
from studio.workbench import Workbench
from tests.families import FamilyFiles, build_tied_family
from tests.pages import toy
from ui import opened

ROOT = Path(__file__).parents[1]
OBJECTIVES = [
    {"name": "facts", "data": "data/exact.jsonl", "scorer": "exact_match"},
    {"name": "manners", "data": "data/contains.jsonl", "scorer": "contains"},
    {"name": "loss", "data": "data/texts.jsonl", "scorer": "nll"},
]


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("family"))


@pytest.fixture(scope="session")
def study(family: FamilyFiles) -> Path:
    return family.study("helpful", "terse", objectives=OBJECTIVES, name="pair", target=True)


@pytest.fixture
def service() -> toy.Service:
    return toy.Service()


@pytest.fixture
def home(
    tmp_path: Path, study: Path, service: toy.Service, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A workspace, the study chosen, and the toy engine where the worker would be."""
    made: list[InlineExecutor] = []

    def executor(workspace: Path, *, on_rows: object, **_: object) -> InlineExecutor:
        made.append(InlineExecutor(workspace, on_rows=on_rows, service=lambda: service))
        return made[-1]

    monkeypatch.setattr(engine.jobs.local, "LocalExecutor", executor)
    monkeypatch.setattr(opened.atexit, "register", lambda *_: None)
    # however loaded the machine is: what a test brings, it looks for at once
    monkeypatch.setattr(held, "HOLD_SECONDS", 1e-9)
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PARETOSCOPE_STUDY", str(study))
    st.cache_resource.clear()
    yield tmp_path / "home"
    gc.unfreeze()
    for each in made:
        each.close()
    if made:
        opened._engine(opened.workspace())[0].close()
    st.cache_resource.clear()


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.02)


def whole(bench: Workbench, count: int) -> bool:
    """Whether there are so many points, and each has every score."""
    measured = bench.measured()
    return len(measured) == count and all(map(measured.complete, range(count)))


@pytest.fixture
def bench(home: Path) -> Workbench:
    """The study open and its models scored."""
    found = opened.connect()

    def scored() -> bool:
        found.advance()
        return len(found.measured()) == 4 and found.worker().name == "ready"

    until(scored)
    return found


def page(name: str) -> AppTest:
    return AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=30)


def preferring(name: str = "explore") -> AppTest:
    """A page whose Preference tab is open; its sliders are drawn only then."""
    found = page(name)
    found.session_state["side"] = "Preference"
    return found


def widget(widgets: Sequence[Any], label: str) -> Any:
    """The one widget with this label."""
    [found] = [each for each in widgets if each.label == label]
    return found


def texts(at: AppTest) -> str:
    """Every text on the page."""
    elements = [*at.text, *at.code, *at.error, *at.success, *at.caption, *at.markdown]
    return "\n".join(str(each.value) for each in elements)
