"""A disk that is full at every moment of saving, packing, opening and writing; and a workspace that
may not be written.

Whatever was acknowledged stays, what fails says so without a traceback, and work goes on in the
same process once there is room.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from cache.blobs import Blobs
from cache.journal import Journal
from cache.store import Store
from engine.errors import ParetoscopeError
from engine.family.compatibility import open_family
from engine.family.fingerprint import family_fingerprint
from engine.study import load_study
from tests.faults.forks import MAIN, Forks
from tests.faults.moments import at_moment, full, read_only
from tests.faults.work import note

MOST = 400
STEP = 1 if os.environ.get("PARETOSCOPE_KILLS") else 3
"""Every moment with `make faults`, every third of the many otherwise."""

pytestmark = pytest.mark.faults


def notes(workspace: Path) -> Counter[str]:
    with Store.open(workspace) as store:
        return Counter(row["id"] for row in store.records("note"))


def refused(work: Callable[[], object], turn: int, fault: Callable[[], NoReturn]) -> bool:
    """Whether it was refused by words at that moment; False where the moment never came."""
    with at_moment(turn, fault) as counter:
        try:
            work()
        except ParetoscopeError as error:
            assert str(error)
            return True
    return counter.count >= turn


@pytest.mark.parametrize("fault", [full, read_only])
def test_saving(tmp_path: Path, fault: Callable[[], NoReturn]) -> None:
    for turn in range(1, MOST):
        workspace = tmp_path / str(turn)
        with Store.open(workspace) as store:
            store.append([note("before")])
            came = refused(lambda s=store: s.append([note("a"), note("b")]), turn, fault)
            assert "before" in {row["id"] for row in store.records("note")}
            store.append([note("a"), note("b")])
            assert {row["id"] for row in store.records("note")} == {"before", "a", "b"}
        assert notes(workspace) == Counter(["before", "a", "b"])
        if not came:
            break
    assert turn > 2


@pytest.mark.parametrize("fault", [full, read_only])
def test_opening_and_packing(tmp_path: Path, fault: Callable[[], NoReturn]) -> None:
    """Journals of ten dead writers, which the next start packs into a segment."""
    for turn in range(1, MOST, STEP):
        workspace = tmp_path / str(turn)
        for k in range(10):
            journal = Journal(workspace / "journal")
            journal.append([note(f"{k}")], k)
            journal.close()

        def opened(place: Path = workspace) -> None:
            with Store.open(place) as store:
                assert len(store.records("note")) == 10, "what is there is seen"

        came = refused(opened, turn, fault)
        assert notes(workspace) == Counter(map(str, range(10))), f"lost at moment {turn}"
        if not came:
            break
    assert turn > 5


def test_the_first_start(tmp_path: Path) -> None:
    for turn in range(1, MOST, STEP):
        workspace = tmp_path / str(turn) / "deep"

        def started(place: Path = workspace) -> None:
            with Store.open(place) as store:
                store.append([note("a")])

        came = refused(started, turn, full)
        started()
        assert notes(workspace) == Counter(["a"])
        if not came:
            break
    assert turn > 4


def test_blobs_are_kept_or_not(tmp_path: Path) -> None:
    """What may be thrown away never stops anything."""
    for turn in range(1, MOST):
        with Blobs(tmp_path / str(turn)) as blobs:
            blobs.put_text("old", "x" * 70_000)
            with at_moment(turn, full) as counter:
                kept = blobs.put_text("new", "y" * 70_000)
            assert blobs.get_text("new") == ("y" * 70_000 if kept else None)
            assert blobs.get_text("old") == "x" * 70_000
            assert blobs.put_text("new", "z") and blobs.get_text("new") == "z"
        if counter.count < turn:
            break


def test_fingerprints_are_only_remembered(tmp_path: Path, study: Path) -> None:
    family = open_family(load_study(study).family)
    right = family_fingerprint(family, tmp_path / "sound")
    for turn in range(1, MOST):
        with at_moment(turn, full) as counter:
            assert family_fingerprint(family, tmp_path / str(turn)) == right
        assert family_fingerprint(family, tmp_path / str(turn)) == right
        if counter.count < turn:
            break


class TestFiles:
    """What libraries write themselves meets a limit on the size of a file."""

    def run(
        self, forks: Forks, place: Path, largest: int | None, *words: object
    ) -> tuple[int, str]:
        (place / "temporary").mkdir(exist_ok=True)
        code, out = forks.call(
            MAIN, [list(map(str, words))], place / "out.txt", place / "temporary", largest=largest
        )
        assert "Traceback" not in out, out
        return code, out

    def test_an_export(self, forks: Forks, study: Path, tmp_path: Path) -> None:
        recipe = ("--recipe", study.parent / "recipe-0.yaml", "--workspace", tmp_path / "workspace")
        self.run(forks, tmp_path, None, "evaluate", study, *recipe)  # what comes before is there
        out = tmp_path / "result"
        for largest in (0, 200, 3_000, 30_000):
            code, said = self.run(forks, tmp_path, largest, "export", study, *recipe, out)
            assert code == 1 and ("full" in said or "room" in said), said
            assert not list(tmp_path.glob("result*")), "half a result"
        assert self.run(forks, tmp_path, None, "export", study, *recipe, out)[0] == 0

    def test_an_evaluation(self, forks: Forks, study: Path, tmp_path: Path) -> None:
        recipe = ("--recipe", study.parent / "recipe-0.yaml", "--workspace", tmp_path / "workspace")
        for largest in (0, 100, 1_000):
            code, said = self.run(forks, tmp_path, largest, "evaluate", study, *recipe)
            assert code in (1, 2) and ("full" in said or "large" in said), said
        code, said = self.run(forks, tmp_path, None, "evaluate", study, *recipe, "--json")
        [line] = [each for each in said.splitlines() if each.startswith("{")]
        assert code == 0 and len(json.loads(line)["points"][0]["scores"]) == 3

    def test_a_demo(self, forks: Forks, tmp_path: Path) -> None:
        """What was written of it is gone on with once there is room."""
        for largest in (0, 100, 10_000, 500_000):
            code, said = self.run(forks, tmp_path, largest, "demo", tmp_path / "demo")
            assert code == 1 and ("large" in said or "room" in said or "full" in said), said
        assert self.run(forks, tmp_path, None, "demo", tmp_path / "demo")[0] == 0

    def test_an_index(self, forks: Forks, tmp_path: Path) -> None:
        """Built in memory where its file has no room."""
        workspace = tmp_path / "workspace"
        for k in range(3):
            with Store.open(workspace) as store:
                store.append([note(f"{k}-{i}") for i in range(100)])
        (workspace / "index.duckdb").unlink()
        (tmp_path / "temporary").mkdir()
        for largest in (100, 20_000, 300_000, 1_000_000):
            code, out = forks.call(
                "tests.faults.work:index", [str(workspace)], tmp_path / "out.txt",
                tmp_path / "temporary", largest=largest,
            )  # fmt: skip
            assert code == 0 and "rows 300" in out and "Traceback" not in out, out
        assert len(notes(workspace)) == 300
