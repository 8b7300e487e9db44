"""One Chromium for all journeys. Where none is installed they are skipped, in CI they fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from engine.demo import write_demo
from tests.browser.driver import Served, browser, chromium


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    if chromium() is None:
        reason = "no Chromium is installed: the browser journeys need one"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with browser() as found:
        yield found


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped study, its data cut short so that a point takes seconds."""
    study = write_demo(tmp_path_factory.mktemp("demo") / "demo")
    text = study.read_text().replace("    chat: true\n", "    chat: true\n    limit: 12\n")
    study.write_text(text)
    return study


@pytest.fixture(scope="session")
def app(chrome: Browser, demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo served, its unmerged models scored."""
    with Served(demo, tmp_path_factory.mktemp("home")) as served:
        page = served.open(chrome)
        page.get_by_text("worker ready").wait_for()
        page.get_by_text("5 points", exact=True).wait_for()
        page.context.close()
        yield served


@pytest.fixture(scope="session")
def shipped(chrome: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo as it is shipped, with its measured points. Journeys only add to it."""
    with Served(None, tmp_path_factory.mktemp("shipped"), device="cpu") as served:
        yield served
