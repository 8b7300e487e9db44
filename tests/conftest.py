"""How tests are dealt to processes: a file stays together, and all journeys are one.

Journeys mostly wait. They are dealt first, to one process, so that the others compute meanwhile,
and share one browser and its servers.
"""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: "browser" not in item.keywords)  # stable
    for item in items:
        group = "browser" if item.get_closest_marker("browser") else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
