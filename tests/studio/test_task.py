"""Progress in words and as a fraction."""

from __future__ import annotations

from typing import Any

import pytest

from engine.jobs.executor import Status
from studio.task import fraction, words

NAMES = ("facts", "loss")


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        ({}, 0.0),
        ({"done": 1, "total": 2}, 0.5),
        ({"done": 0, "total": 1, "objective": "loss", "rows": 5, "of_rows": 10}, 0.75),
        ({"done": 2, "total": 2}, 1.0),
        ({"part": 0.25, "texts": 3}, 0.25),
        ({"done": 0, "total": 1, "objective": "gone", "rows": 1, "of_rows": 0}, 0.0),
    ],
)
def test_fraction_counts_recipes_then_objectives_then_rows(
    progress: dict[str, Any], expected: float
) -> None:
    assert fraction(Status("running", progress), NAMES) == pytest.approx(expected)


def test_words_say_where_a_job_stands() -> None:
    progress = {"done": 1, "total": 4, "objective": "facts", "rows": 3, "of_rows": 9}
    assert words(Status("running", progress)) == "1 of 4 done, facts 3 of 9 rows"
    preparing = {"done": 1, "total": 4, "stage": "preparing pcb: 40 %"}
    assert words(Status("running", preparing)) == "1 of 4 done, preparing pcb: 40 %"
    assert words(Status("running", {"stage": "preparing pcb: 40 %"})) == "preparing pcb: 40 %"
    mapping = {"part": 0.999, "texts": 1}
    assert words(Status("running", mapping)) == "99 % done, 1 text so far"
    waiting = {"done": 3, "total": 4, "waiting": 1}
    said = "3 of 4 done, the rest is being measured by other processes"
    assert words(Status("running", waiting)) == said
    assert words(Status("queued")) == "waiting for the worker"
    assert words(Status("parked")) == "paused while another job runs"
    assert words(Status("running")) == "running"
