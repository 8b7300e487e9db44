from __future__ import annotations

from engine.scoring.progress import Meter, ProgressNote, RowsWritten


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_never_more_than_ten_notes_a_second() -> None:
    clock, notes = Clock(), list[ProgressNote]()
    meter = Meter(notes.append, clock)
    for objective in ("a", "b"):
        meter.begin(objective, 100)
        for done in range(100):
            clock.now += 0.013
            meter.at(done + 1)
    assert len(notes) <= 10 * clock.now + 1
    assert len(notes) >= 7 * clock.now
    assert notes[0] == ProgressNote("a", 0, 100)
    assert {note.objective for note in notes} == {"a", "b"}


def test_without_a_listener_nothing_is_due() -> None:
    meter = Meter(None)
    meter.begin("a", 3)
    assert not meter.due


def test_rows_that_fell_behind_have_ended() -> None:
    clock, notes = Clock(), list[ProgressNote]()
    meter = Meter(notes.append, clock)
    meter.begin("a", 6)
    rows = RowsWritten(meter, [[4, 2, 0], [1, 3, 5]])

    def step(*indices: int) -> int:
        for index in indices:
            clock.now += 1.0
            rows(index, 7)
        return notes[-1].done

    assert step(4, 2, 0) == 0
    assert step(2) == 0
    assert step(2, 2) == 2  # 4 and 0 are silent since two steps
    assert step(3) == 3  # the second batch runs, the first is done
    assert step(3, 3) == 5
