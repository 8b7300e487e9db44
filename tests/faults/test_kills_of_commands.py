"""kill −9 at random moments of a sweep, a search, an evaluation, an export, a compaction, the
set-up of a workspace and of a demo.

No acknowledged row is lost, none is measured twice, and after the next start nothing is left over.
Three kills of each by default; PARETOSCOPE_KILLS=100 shares a hundred among them (`make faults`).
"""

from __future__ import annotations

import filecmp
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cache.compaction import compact
from cache.store import Store
from tests.faults.forks import MAIN, Forks, Run
from tests.faults.work import note

KINDS = 8
ASKED = int(os.environ.get("PARETOSCOPE_KILLS", "0"))
KILLS = ASKED // KINDS + 1 if ASKED else 3
STEP = 1 if ASKED else 4
"""Every moment with `make faults`, every fourth of the many otherwise."""

OBJECTIVES = 3

pytestmark = pytest.mark.faults


class Place:
    """A workspace, a directory for temporary files, and one for results."""

    def __init__(self, forks: Forks, root: Path) -> None:
        self.forks, self.root = forks, root
        self.workspace, self.temporary = root / "workspace", root / "temporary"
        self.temporary.mkdir(parents=True)
        self.printed: list[str] = []

    def start(self, call: str, words: list[Any]) -> Run:
        return self.forks.start(call, words, self.root / "out", self.temporary)

    def whole(self, call: str, words: list[Any]) -> str:
        """A run to its end, which must be a good one."""
        code, out = self.start(call, words).wait()
        assert code == 0, out
        return out

    def killed(self, call: str, words: list[Any], after: float) -> str:
        """What a run printed before it was killed; all of it where it was done by then."""
        run = self.start(call, words)
        time.sleep(after)
        os.kill(run.pid, signal.SIGKILL)  # not yet waited for, so the id is still its own
        code, out = run.wait()
        assert code in (0, -signal.SIGKILL), out
        return out

    def left_over(self) -> list[str]:
        """What nobody needs, and what a next start should have cleaned."""
        return sorted(
            str(each.relative_to(self.root))
            for each in [*self.root.rglob("*"), *self.temporary.iterdir()]
            if "temporary" in each.parts[len(self.root.parts) :][1:]
            or each.parent == self.temporary
            or ".tmp" in each.name
            or each.name.startswith(".")
            or each.suffix == ".new"
        )

    def aged(self) -> None:
        """Everything was last changed two hours ago."""
        then = time.time() - 7200
        for each in self.root.rglob("*"):
            os.utime(each, (then, then), follow_symlinks=False)


@pytest.fixture
def place(forks: Forks, tmp_path: Path) -> Place:
    return Place(forks, tmp_path)


def lines(out: str) -> list[dict[str, Any]]:
    """The JSON lines among what was printed; the last may be torn by the kill."""
    return [json.loads(line) for line in out.split("\n")[:-1] if line.startswith("{")]


def stored(workspace: Path, kind: str = "score") -> Counter[str]:
    """Point -> how many score rows were ever written; id of a note -> likewise."""
    with Store.open(workspace) as store:
        name = "point" if kind == "score" else "id"
        rows = store._follower.query(f"SELECT {name} FROM rows WHERE kind = '{kind}'", [])
    return Counter(rows[name])


def moments(place: Place, run: Callable[[], Any], seed: int) -> Iterator[float]:
    """Random moments of what takes as long as `run`."""
    start = time.monotonic()
    run()
    whole = time.monotonic() - start
    dice = random.Random(seed)
    for _ in range(KILLS):
        yield dice.uniform(0.1, 1.0) * whole


def test_a_sweep(place: Place, study: Path) -> None:
    command = ["sweep", str(study), "--method", "task_arithmetic", "--executor", "inline",
               "--strategy", "sobol", "--json"]  # fmt: skip

    def swept(points: int, workspace: Path) -> list[str]:
        return [*command, "--points", str(points), "--workspace", str(workspace)]

    other = place.root / "other"
    printed: set[str] = set()
    points = 0  # of sobol, so that each goes on where the one before was killed
    for after in moments(place, lambda: place.whole(MAIN, [swept(9, other)]), 1):
        points += 9
        out = place.killed(MAIN, [swept(points, place.workspace)], after)
        printed |= {line["id"] for line in lines(out) if "id" in line}
        counts = stored(place.workspace)
        assert printed <= {each for each, count in counts.items() if count == OBJECTIVES}, "lost"
        assert max(counts.values(), default=0) <= OBJECTIVES, "measured twice"
    out = place.whole(MAIN, [swept(points, place.workspace)])
    assert lines(out)[-1] == {"done": True, "points": points, "failed": 0}
    assert printed - stored(place.workspace).keys() == set()
    assert set(stored(place.workspace).values()) == {OBJECTIVES}, "lost, or measured twice"
    assert place.left_over() == []


@pytest.mark.parametrize(
    ("strategy", "points"), [("suggest", 12), ("cmaes", 8)], ids=["suggest", "cmaes"]
)
def test_a_search(place: Place, study: Path, strategy: str, points: int) -> None:
    """Going on, it asks for what it would have asked for had it not been killed."""

    def searched(workspace: Path) -> list[str]:
        return ["sweep", str(study), "--method", "linear", "--strategy", strategy, "--seed", "1",
                "--points", str(points), "--objectives", "has,loss", "--executor", "inline",
                "--json", "--workspace", str(workspace)]  # fmt: skip

    def whole(workspace: Path) -> list[str]:
        found = lines(place.whole(MAIN, [searched(workspace)]))
        assert found[-1]["done"] and (found[-1]["points"], found[-1]["failed"]) == (points, 0)
        return sorted(line["id"] for line in found if "id" in line)

    other = place.root / "other"
    asked: list[str] = []
    printed: set[str] = set()
    for after in moments(place, lambda: asked.extend(whole(other)), 7):  # each some way further
        out = place.killed(MAIN, [searched(place.workspace)], after / KILLS)
        printed |= {line["id"] for line in lines(out) if "id" in line}
        counts = stored(place.workspace)
        assert printed <= {each for each, count in counts.items() if count == 2}, "lost"
        assert max(counts.values(), default=0) <= 2, "measured twice"
    assert whole(place.workspace) == asked and printed <= set(asked)
    assert stored(place.workspace) == stored(other), "lost, or measured twice"
    assert place.left_over() == []


def test_an_evaluation(place: Place, study: Path) -> None:
    recipes = [str(study.parent / f"recipe-{k}.yaml") for k in range(6)]
    command = ["evaluate", str(study), "--recipe", *recipes, "--json", "--workspace"]
    other = place.root / "other"
    for turn, after in enumerate(
        moments(place, lambda: place.whole(MAIN, [[*command, str(other)]]), 2)
    ):
        workspace = place.root / f"workspace-{turn % 2}"
        place.killed(MAIN, [[*command, str(workspace)]], after)
    for workspace in place.root.glob("workspace-*"):
        kept = stored(workspace)
        document = json.loads(lines_of_json(place.whole(MAIN, [[*command, str(workspace)]])))
        assert [len(each["scores"]) for each in document["points"]] == [OBJECTIVES] * 6
        counts = stored(workspace)
        assert kept.keys() <= counts.keys() and set(counts.values()) == {OBJECTIVES}
    assert place.left_over() == []


def lines_of_json(out: str) -> str:
    return next(line for line in out.splitlines() if line.startswith("{"))


def test_an_export(place: Place, study: Path) -> None:
    def exported(out: Path) -> list[str]:
        recipe = ["--recipe", str(study.parent / "recipe-0.yaml")]
        return ["export", str(study), *recipe, str(out), "--workspace", str(place.workspace)]

    whole = place.root / "results/whole"
    wanted = moments(place, lambda: place.whole(MAIN, [exported(whole)]), 3)
    for turn, after in enumerate(wanted):
        out = place.root / f"results/{turn}"
        place.killed(MAIN, [exported(out)], after)
        if not out.exists():
            place.whole(MAIN, [exported(out)])
        assert sorted(each.name for each in out.iterdir()) == sorted(
            each.name for each in whole.iterdir()
        ), "half an export has the name of a whole one"
        assert filecmp.cmp(out / "model.safetensors", whole / "model.safetensors", shallow=False)
    place.whole(MAIN, [exported(place.root / "results/last")])
    assert place.left_over() == []


def test_a_compaction(place: Place) -> None:
    expected: Counter[str] = Counter()

    def more(turn: int, workspace: Path) -> list[str]:
        names = [f"{turn}-{k}" for k in range(400)]
        for start in (0, 200):
            with Store.open(workspace) as store:
                store.append([note(name) for name in names[start : start + 200]])
        return names

    other = place.root / "other"
    more(0, other)
    whole = moments(place, lambda: place.whole("tests.faults.work:pack", [str(other)]), 4)
    for turn, after in enumerate(whole):
        expected.update(more(turn, place.workspace))
        place.killed("tests.faults.work:pack", [str(place.workspace)], after)
        assert stored(place.workspace, "note") == expected, "lost, or there twice"
    place.aged()
    compact(place.workspace / "journal", place.workspace / "segments", least=1, large=1)
    (place.workspace / "index.duckdb").unlink()
    assert stored(place.workspace, "note") == expected
    assert place.left_over() == []


def test_every_moment_of_a_compaction(place: Place) -> None:
    """Killed at each call that changes a file, one after the other."""
    for turn in range(1, 400, STEP):
        workspace = place.root / f"workspace-{turn}"
        names = [f"{turn}-{k}" for k in range(6)]
        for start in (0, 3):
            with Store.open(workspace) as store:
                store.append([note(name) for name in names[start : start + 3]])
        code, out = place.forks.call(
            "tests.faults.work:pack", [str(workspace)], place.root / "out", place.temporary,
            die_at=turn,
        )  # fmt: skip
        assert code in (0, -signal.SIGKILL), out
        assert stored(workspace, "note") == Counter(names), f"at moment {turn}: lost, or twice"
        if code == 0:
            break
    assert code == 0 and turn > 5, "a compaction has more moments than that"


def test_every_moment_of_saving(place: Place) -> None:
    """The writer itself is killed at each of its moments; what it said was saved is there."""
    for turn in range(1, 400, STEP):
        workspace = place.root / f"workspace-{turn}"
        code, out = place.forks.call(
            "tests.faults.work:append", [str(workspace), "a", 20], place.root / "out",
            place.temporary, die_at=turn,
        )  # fmt: skip
        assert code in (0, -signal.SIGKILL), out
        said = {each for line in out.split("\n")[:-1] for each in line.split() if "-" in line}
        found = stored(workspace, "note")
        assert {each for each in said if each.startswith("a-")} <= set(found), f"lost at {turn}"
        assert set(found.values()) <= {1}
        if code == 0:
            break
    assert code == 0 and turn > 8, "saving has more moments than that"


def test_the_set_up_of_a_workspace(place: Place) -> None:
    """The demo written into a workspace, its points, and the first index over them."""
    other, set_up = place.root / "other", "tests.faults.work:set_up"
    for after in moments(place, lambda: place.whole(set_up, [str(other)]), 5):
        place.killed(set_up, [str(place.workspace)], after)
        out = place.whole(set_up, [str(place.workspace)])
        assert out.splitlines()[-1] == "rows 0"
        same = filecmp.dircmp(other / "demo", place.workspace / "demo")
        assert not [*same.left_only, *same.right_only, *same.diff_files]
        assert place.left_over() == []
        for each in sorted(place.workspace.rglob("*"), reverse=True):
            each.rmdir() if each.is_dir() else each.unlink()


def test_a_demo_written_by_hand(place: Place) -> None:
    """`demo DIR` after a killed `demo DIR` is whole, in the same place."""
    command = ["demo", str(place.root / "whole")]
    for turn, after in enumerate(moments(place, lambda: place.whole(MAIN, [command]), 6)):
        out = place.root / f"demo-{turn}"
        place.killed(MAIN, [["demo", str(out)]], after)
        if not (out / "study.yaml").exists():
            place.whole(MAIN, [["demo", str(out)]])
        assert sorted(str(each.relative_to(out)) for each in out.rglob("*")) == sorted(
            str(each.relative_to(place.root / "whole"))
            for each in (place.root / "whole").rglob("*")
        )
    assert place.left_over() == []
