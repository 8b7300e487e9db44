"""Whose turn it is: what others measure is put off, counts once it is there, and is never lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import pytest

from cache.claims import Claims
from engine.errors import Cancelled
from engine.jobs import claiming
from engine.jobs.claiming import TakenOver, Turns
from engine.worker.messages import Answer


class Place:
    """The claims of a job, and of another process on the same workspace."""

    def __init__(self, directory: Path) -> None:
        self.rows: set[str] = set()
        self.mine, self.theirs = (Claims(directory / "claims", lambda: self.rows) for _ in "ab")
        self.asked = 0
        self.ticks = 0
        self.at_tick: Callable[[], None] = lambda: None
        self.complete: list[int] = []
        self.waited = 0

    def __call__(self, kind: str, data: object = None) -> None: ...

    def claim(self, wanted: Sequence[Collection[str]], tick: Callable[[], None]) -> Answer:
        self.asked += 1
        return self.mine.ask("job", wanted)

    def tick(self) -> None:
        self.ticks += 1
        self.at_tick()

    def wait(self) -> None:
        self.waited += 1

    def turns(self, missing: dict[int, list[str]]) -> Turns:
        return Turns(missing, self, self.tick, self.complete.append, self.wait)

    def measure(self, missing: dict[int, list[str]]) -> list[tuple[int, str]]:
        """What is measured here, in its order."""
        found = []
        for turn in self.turns(missing):
            for each in sorted(turn.granted):
                found.append((turn.key, each))
                self.save(each)
                turn.measured(each)
        return found

    def save(self, *ids: str) -> None:
        self.rows.update(ids)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(claiming, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(claiming, "POLL_SECONDS", 0.002)
    made = Place(tmp_path)
    yield made
    made.mine.close()
    made.theirs.close()


def test_alone_every_score_is_measured_in_order(place: Place) -> None:
    missing = {0: ["a", "b"], 1: [], 3: ["c"]}
    assert place.measure(missing) == [(0, "a"), (0, "b"), (3, "c")]
    assert place.complete == [] and place.waited == 0


def test_what_another_measures_is_put_off_and_counts_when_it_is_there(place: Place) -> None:
    place.theirs.ask("other", [["a", "b"]])

    def later() -> None:
        if place.waited > 1:
            place.save("a", "b")

    place.at_tick = later
    assert place.measure({0: ["a", "b"], 1: ["c"]}) == [(1, "c")]
    assert place.complete == [0] and place.waited > 1


def test_what_a_dead_process_measured_is_measured_here(place: Place) -> None:
    place.theirs.ask("other", [["a"]])

    def dies() -> None:
        if place.waited == 2:
            place.theirs.close()

    place.at_tick = dies
    assert place.measure({0: ["a"], 1: ["b"]}) == [(1, "b"), (0, "a")]
    assert place.complete == []


def test_a_recipe_is_shared_by_objective(place: Place) -> None:
    """Another process measures one of its scores; the rest is measured here meanwhile."""
    place.theirs.ask("other", [["a"]])
    place.at_tick = lambda: place.save("a")
    assert place.measure({0: ["a", "b"], 1: ["c"]}) == [(0, "b"), (1, "c")]
    assert place.complete == [0], "the last score came from there"


def test_one_recipe_given_twice_is_measured_once(place: Place) -> None:
    assert place.measure({0: ["a"], 1: ["a"]}) == [(0, "a")]
    assert place.complete == [1]


def test_many_that_are_there_cost_few_questions(place: Place) -> None:
    missing = {index: [f"{index}"] for index in range(80)}
    place.save(*(f"{index}" for index in range(79)))
    assert place.measure(missing) == [(79, "79")]
    assert place.complete == list(range(79)) and place.asked == 80 / claiming.WINDOW


@pytest.mark.parametrize(("seconds", "asked"), [(60.0, 3), (0.0, 100)])
def test_some_are_held_at_once_and_only_where_they_take_no_time(
    place: Place, monkeypatch: pytest.MonkeyPatch, seconds: float, asked: int
) -> None:
    monkeypatch.setattr(claiming, "HOLD_SECONDS", seconds)
    missing = {index: [f"{index:03}"] for index in range(100)}
    assert [key for key, _ in place.measure(missing)] == list(range(100))
    assert place.asked == asked, "one, then as many as may be"


def test_what_takes_longer_than_it_did_is_not_held_meanwhile(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(claiming.time, "monotonic", lambda: now[0])
    free = []
    for turn in place.turns({index: [f"{index}"] for index in range(6)}):
        now[0] += 0.001 if turn.key < 2 else 60.0
        turn.measured(f"{turn.key}")
        place.save(f"{turn.key}")
        if turn.key == 3:
            free = sorted(place.theirs.ask("other", [["4", "5"]]).granted)
            place.save("4", "5")
    assert free == ["4", "5"], "they were held while 2 seemed to take no time"
    assert place.complete == [4, 5]


def test_what_is_held_beside_is_let_go_when_another_job_takes_some_over(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "HOLD_SECONDS", 60.0)
    found = []
    for turn in place.turns({index: [f"{index}"] for index in range(4)}):
        if turn.key == 1 and not place.rows & {"3"}:
            place.asked += 1  # parked here: the other job measures the last of the four
            place.mine.ask("another", [["3"]])
            place.save("3")
            with pytest.raises(TakenOver):
                turn.tick()
            continue
        found.append(turn.key)
        turn.tick()
        turn.measured(f"{turn.key}")
        place.save(f"{turn.key}")
    assert sorted(found) == [0, 1, 2] and place.complete == [3]


def test_what_failed_is_not_tried_again_by_this_job(place: Place) -> None:
    keys = []
    for turn in place.turns({0: ["a", "b"], 1: ["c"]}):
        keys.append(turn.key)
        turn.fail()
    assert keys == [0, 1]
    assert place.complete == []


def test_a_job_that_asked_while_this_one_was_parked_takes_over(place: Place) -> None:
    found = []
    for turn in place.turns({0: ["a"], 1: ["b"]}):
        found.append(turn.key)
        if found == [0]:
            place.asked += 1  # parked here: the other job is granted the same, measures it and ends
            place.mine.ask("another", [["a"]])
            place.save("a")
            with pytest.raises(TakenOver):
                turn.tick()
            continue
        turn.tick()
        turn.measured("b")
    assert found == [0, 1] and place.complete == [0]


def test_a_job_that_asked_for_something_else_takes_nothing_away(place: Place) -> None:
    for turn in place.turns({0: ["a"]}):
        place.asked += 1
        place.mine.ask("another", [["z"]])
        place.mine.end("another")
        turn.tick()
        turn.measured("a")
        place.save("a")
    assert place.theirs.ask("other", [["a"]]) == Answer(there=frozenset({"a"}))


def test_waiting_can_be_cancelled(place: Place) -> None:
    place.theirs.ask("other", [["a"]])

    def cancel() -> None:
        if place.waited:
            raise Cancelled("cancelled")

    place.at_tick = cancel
    with pytest.raises(Cancelled):
        place.measure({0: ["a"]})
