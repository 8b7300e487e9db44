"""What does not fit in memory, said where a method is chosen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.recipe import METHODS
from studio import fitting
from studio.workbench import Workbench


def bench(state: str = "done", **memory: int) -> Workbench:
    handle = SimpleNamespace(result=lambda wait: {"memory": memory})
    task: Any = SimpleNamespace(status=SimpleNamespace(state=state), handle=handle)
    return cast("Workbench", SimpleNamespace(task=lambda session: task))


SIZES = {"live_bytes": 10, "basis_bytes": 90, "weight_space_bytes": 100, "logit_space_bytes": 40}


@pytest.mark.parametrize(
    ("method", "free", "said"),
    [
        ("task_arithmetic", 50, ""),
        ("pcb", 50, "computed again at every move"),
        ("pcb", 100, ""),
        ("proxy_tuning", 50, ""),
        ("proxy_tuning", 30, "fewer or smaller models"),
        ("linear", 9, "`merge` writes one tensor by tensor"),
    ],
)
def test_a_method_says_what_does_not_fit(method: str, free: int, said: str) -> None:
    found = fitting.warning(bench(**SIZES, available_bytes=free), METHODS[method])
    assert said in found and bool(said) == bool(found)


def test_nothing_is_said_before_it_is_known() -> None:
    assert fitting.way_of(bench("running"), METHODS["pcb"]) is None
    assert fitting.warning(bench("running"), METHODS["pcb"]) == ""
