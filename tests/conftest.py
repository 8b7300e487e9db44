"""How tests are dealt to processes: a file stays together, and all journeys are one."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling


class Dealt(LoadFileScheduling):
    """Journeys, collected first, go to one process: they share a browser and its servers."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "browser" if file.startswith("tests/browser/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Dealt:
    return Dealt(config, log)
