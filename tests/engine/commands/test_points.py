"""A sweep in the shell: what it prints, and that it does not look at what else is stored."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cache.store import Store
from engine.commands import sweeping
from engine.commands.session import Session
from engine.jobs.claiming import Turns
from studio.sweeps.queue import queue
from studio.sweeps.sweep import ids_of, there
from studio.sweeps.words import past_rows
from tests import headless
from tests.families import FamilyFiles, build_tied_family

OBJECTIVES = [
    {"name": name, "data": "data/choice.jsonl", "scorer": "choice", "limit": limit}
    for name, limit in (("pick", 2), ("more", 3))
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FamilyFiles:
    return build_tied_family(tmp_path_factory.mktemp("sweep"))


def sweep(home: Path, study: Path, points: int, *more: object) -> list[dict[str, Any]]:
    words = ("--method", "linear", "--points", points, "--executor", "inline", *more)
    ran = headless.run(home, "sweep", study, *words)
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def test_a_sweep_prints_each_point_once_and_resumes(
    files: FamilyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_points(*_: object) -> None:
        raise AssertionError("it reads every point that is stored")

    study = files.study("helpful", objectives=OBJECTIVES, name="sweeping")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "columns", all_points)
        *points, last = sweep(tmp_path, study, 3)
        again = sweep(tmp_path, study, 3)
        more = sweep(tmp_path, study, 5, "--objectives", "pick")
    assert last == {"done": True, "points": len(points), "failed": 0} and len(points) >= 2
    assert len({each["id"] for each in points}) == len(points)
    assert all(list(each["scores"]) == ["pick", "more"] for each in points)
    assert [each["id"] for each in again[:-1]] == [each["id"] for each in points]
    assert again == [*points, last]
    assert all(list(each["scores"]) == ["pick"] for each in more[:-1]) and len(more) > len(again)
    assert {each["id"] for each in points} <= {each["id"] for each in more[:-1]}
    front = headless.run(tmp_path, "front", study).document
    assert front["points"] == len(more) - 1 + 2 and front["incomplete"] == len(more) - len(again)
    assert set(front["probability"]) == set(front["ranks"])
    assert all(0 < front["probability"][each] <= 1 for each in front["front"])
    weights = ("--weight", "pick=1", "more=1", "--cautious", "1")
    picked = headless.run(tmp_path, "recommend", study, *weights).document
    assert picked["point"]["id"] in front["probability"] and 0 <= picked["share"] <= 1


def test_a_sweep_of_a_shell_stands_among_those_of_the_app(
    files: FamilyFiles, tmp_path: Path
) -> None:
    study = files.study("helpful", objectives=OBJECTIVES, name="shown")
    *printed, _ = sweep(tmp_path, study, 3, "--seed", "2")
    sweep(tmp_path, study, 3, "--seed", "2")  # nothing was missing: no sweep of its own
    given = SimpleNamespace(study=study, workspace=tmp_path, device="cpu", compute_dtype=None)
    with Session(given) as bench:
        found = queue(bench)
        assert found is not None
        [row] = past_rows(found)
        assert (row["state"], row["points"], row["objectives"]) == ("done", 3, "pick, more")
        assert row["methods"] == "linear sobol 3 seed 2"
        [shown] = found.sweeps.values()
        assert {*ids_of(bench, shown)} == {each["id"] for each in printed}
        assert there(bench, shown) == 3


def test_an_interrupted_sweep_of_a_shell_can_be_resumed(
    files: FamilyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = files.study("helpful", objectives=OBJECTIVES, name="stopped")
    words = ("sweep", study, "--method", "linear", "--points", 4, "--executor", "inline")
    begun, swept, after = threading.Event(), sweeping.swept, Turns._after
    with monkeypatch.context() as patch:

        def stop(*_: object) -> Any:
            raise KeyboardInterrupt

        def begin(*given: Any) -> Any:
            begun.set()
            return swept(*given)

        def wait(turns: Turns, turn: Any) -> None:
            while begun.is_set():  # it measures no second point: the interrupt comes before
                turns._tick()
                time.sleep(0.002)
            after(turns, turn)

        patch.setattr(sweeping, "swept", begin)
        patch.setattr(Turns, "_after", wait)
        patch.setattr(sweeping._Printed, "arrived", stop)
        ran = headless.run(tmp_path, *words)
    assert (ran.code, ran.out) == (130, "") and "interrupted" in ran.err
    given = SimpleNamespace(study=study, workspace=tmp_path, device="cpu", compute_dtype=None)
    with Session(given) as bench:
        found = queue(bench)
        assert found is not None
        [left] = found.resumable
        assert left.state in ("cancelled", "unfinished") and left.count == 4
    assert headless.run(tmp_path, *words).code == 0
    with Session(given) as bench:
        found = queue(bench)
        assert found is not None and found.resumable == []
        assert [(each.id, each.state) for each in found.sweeps.values()] == [(left.id, "done")]
