"""Each id is granted to one process, whatever becomes of the others."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cache import claims as claims_module
from cache.claims import LEASE_SECONDS, LOOK_SECONDS, Claims
from cache.store import Store
from engine.errors import BadInput
from engine.worker.messages import Answer

ROOT = Path(__file__).resolve().parents[2]


class Workspace:
    """Processes of one workspace, all in this one: an flock belongs to an open file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "claims"
        self.rows: set[str] = set()
        self.now = 0.0
        self.made: list[Claims] = []

    def process(self) -> Claims:
        made = Claims(self.directory, lambda: self.rows, clock=lambda: self.now)
        self.made.append(made)
        return made

    def files(self) -> list[str]:
        return sorted(each.name for each in self.directory.iterdir() if each.suffix == ".ids")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace(tmp_path)
    yield made
    for each in made.made:
        each.close()


def granted(*ids: str) -> Answer:
    return Answer(granted=frozenset(ids))


def elsewhere(*ids: str) -> Answer:
    return Answer(elsewhere=frozenset(ids))


def test_an_id_is_granted_to_one_process_until_its_row_is_there(workspace: Workspace) -> None:
    first, second = workspace.process(), workspace.process()
    assert first.ask("a", [["1", "2"], ["3"]]) == granted("1", "2")
    assert second.ask("b", [["1", "2"]]) == elsewhere("1", "2")
    assert second.ask("b", [["1", "2"], ["3"]]) == Answer(
        frozenset({"3"}), frozenset(), frozenset({"1", "2"})
    )
    workspace.rows.add("1")
    assert second.ask("b", [["1", "2"]]) == Answer(
        frozenset(), frozenset({"1"}), frozenset({"2"})
    ), "saved, and not yet let go: it is there"
    assert second.ask("b", [["1", "4"]]) == Answer(frozenset({"4"}), frozenset({"1"}))
    assert first.ask("a", [["1", "2"]]) == Answer(frozenset({"2"}), frozenset({"1"}))


def test_what_this_process_saved_is_there_before_it_is_read_again(workspace: Workspace) -> None:
    claims = workspace.process()
    claims.ask("a", [["1"]])
    claims.saved(["1"])
    assert claims.ask("a", [["1"], ["2"]]) == Answer(frozenset({"2"}), frozenset({"1"}))


def test_a_job_holds_what_it_asked_for_last(workspace: Workspace) -> None:
    first, second = workspace.process(), workspace.process()
    first.ask("a", [["1"]])
    first.ask("a", [["2"]])
    assert second.ask("b", [["1"]]) == granted("1")
    assert second.ask("b", [["2"]]) == elsewhere("2")


@pytest.mark.parametrize("end", [lambda c: c.end("a"), lambda c: c.end_all(), lambda c: c.close()])
def test_what_a_job_leaves_is_free(workspace: Workspace, end: Callable[[Claims], Any]) -> None:
    first, second = workspace.process(), workspace.process()
    first.ask("a", [["1"]])
    assert second.ask("b", [["1"]]) == elsewhere("1")
    end(first)
    assert second.ask("b", [["1"]]) == granted("1")


def test_the_job_that_runs_takes_over_from_one_that_is_parked(workspace: Workspace) -> None:
    claims = workspace.process()
    claims.ask("sweep", [["1", "2"]])
    assert claims.ask("evaluate", [["1"]]) == granted("1")
    claims.end("evaluate")
    other = workspace.process()
    assert other.ask("b", [["1"]]) == granted("1")
    assert other.ask("b", [["2"]]) == elsewhere("2"), "the sweep still holds the rest"


def test_no_two_processes_wait_for_each_other(workspace: Workspace) -> None:
    """Each has a sweep parked under a job that wants what the other's sweep holds."""
    first, second = workspace.process(), workspace.process()
    first.ask("sweep", [["1"]])
    second.ask("sweep", [["2"]])
    assert first.ask("evaluate", [["2"]]) == elsewhere("2")
    assert second.ask("evaluate", [["1"]]) == granted("1"), "what waits holds nothing"
    assert first.ask("evaluate", [["2"]]) == elsewhere("2"), "measured there after the evaluation"
    assert second.ask("sweep", [["2"]]) == granted("2")


def test_files_are_the_owners_alone_and_go_with_their_process(workspace: Workspace) -> None:
    first = workspace.process()
    first.ask("a", [["1"]])
    assert stat.S_IMODE(workspace.directory.stat().st_mode) == 0o700
    for each in workspace.directory.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    (dead := workspace.directory / "1-dead.ids").write_text("9\n")
    workspace.process()
    assert not dead.exists() and len(workspace.files()) == 1
    first.close()
    assert workspace.files() == []


def test_a_workspace_that_cannot_be_written_is_refused(workspace: Workspace) -> None:
    claims = workspace.process()
    workspace.directory.write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        claims.ask("a", [["1"]])


def test_one_who_renews_nothing_loses_its_claims(workspace: Workspace) -> None:
    first, second = workspace.process(), workspace.process()
    first.ask("a", [["1"]])
    second.ask("b", [["1"]])
    looks = 0
    while second.ask("b", [["1"]]) == elsewhere("1"):
        workspace.now += 1000  # a long time between two looks may be one's own
        looks += 1
        assert looks < 100
    assert looks == LEASE_SECONDS / LOOK_SECONDS
    assert first.ask("a", [["1"]]) == elsewhere("1")


def test_one_who_renews_keeps_them(workspace: Workspace) -> None:
    first, second = workspace.process(), workspace.process()
    first.ask("a", [["1"]])
    for _ in range(30):
        workspace.now += LOOK_SECONDS
        first.renew()
        assert second.ask("b", [["1"]]) == elsewhere("1")


def test_a_lock_that_is_never_let_go_is_replaced(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "WAIT_SECONDS", 0.01)
    claims = workspace.process()
    claims.ask("a", [["1"]])
    descriptor = os.open(workspace.directory / "lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        claims.end("a")
        looks = 0
        while (answer := claims.ask("a", [["2"]])) == elsewhere("2"):
            workspace.now += LOOK_SECONDS
            looks += 1
            assert looks < 100
    finally:
        os.close(descriptor)
    assert answer == granted("2") and looks > LEASE_SECONDS / LOOK_SECONDS
    assert workspace.process().ask("b", [["1"]]) == granted("1")


HOLDER = """
import sys
from pathlib import Path
from cache.claims import Claims

claims = Claims(Path(sys.argv[1]), set)
for line in sys.stdin:
    print(*sorted(claims.ask("a", [[line.strip()]]).granted), "|", flush=True)
"""


@contextlib.contextmanager
def holder(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(workspace.directory)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def asks(process: subprocess.Popen[str], name: str) -> str:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{name}\n")
    process.stdin.flush()
    return process.stdout.readline().split("|")[0].strip()


def test_a_killed_process_claims_nothing(workspace: Workspace) -> None:
    claims = workspace.process()
    with holder(workspace) as process:
        assert asks(process, "1") == "1"
        assert claims.ask("b", [["1"]]) == elsewhere("1")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert claims.ask("b", [["1"]]) == granted("1")
    assert len(workspace.files()) == 1, "what the dead process left is removed"


def test_a_stopped_process_loses_its_claims_and_finds_that_out(workspace: Workspace) -> None:
    claims = workspace.process()
    with holder(workspace) as process:
        assert asks(process, "1") == "1"
        process.send_signal(signal.SIGSTOP)
        for _ in range(round(LEASE_SECONDS / LOOK_SECONDS) + 1):
            answer = claims.ask("b", [["1"]])
            workspace.now += LOOK_SECONDS
        assert answer == granted("1")
        process.send_signal(signal.SIGCONT)
        assert asks(process, "1") == "", "measured elsewhere by now"
        assert asks(process, "2") == "2"


RACER = """
import json, random, sys
from pathlib import Path
from cache.store import Store
from tests.cache.test_store import score

ids = [f"{n:064x}" for n in range(int(sys.argv[2]))]
with Store.open(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    left, mine = dict.fromkeys(ids), 0
    while left:
        window = list(left)[:3]
        answer = store.claims.ask("race", [[each] for each in window])
        for each in answer.there:
            left.pop(each, None)
        for each in answer.granted:
            store.append([score(each[-6:], id=each)])
            store.claims.saved([each])
            mine += 1
print(json.dumps(mine), flush=True)
"""


def test_two_processes_race_for_the_same_ids(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RACER, str(tmp_path), "80"]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    racers = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    for each in racers:
        assert each.stdout.readline() == "ready\n"
    done = [each.communicate(timeout=60)[0] for each in started(racers)]
    measured = [json.loads(each) for each in done]
    assert sum(measured) == 80, measured
    with Store.open(tmp_path) as store:
        rows = store._follower.query("SELECT id FROM rows WHERE kind = 'score'", [])
    assert set(Counter(rows["id"]).values()) == {1} and len(rows["id"]) == 80


def started(racers: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    for each in racers:
        each.stdin.write("go\n")
        each.stdin.flush()
    return racers
