from __future__ import annotations

import pytest

from engine.worker.messages import Heartbeat, State
from engine.worker.pulse import Pulse
from tests.engine.worker.clock import Clock


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    return Pulse(hang_seconds=10, load_seconds=100, clock=clock)


def beat(pulse: Pulse, state: State, ticks: int) -> None:
    pulse.heard(Heartbeat(ticks, state))


def test_each_quantum_starts_the_clock_again(pulse: Pulse, clock: Clock) -> None:
    for ticks in range(5):
        clock.now += 9
        beat(pulse, "running", ticks)
        assert not pulse.stopped


def test_heartbeats_without_a_quantum_do_not(pulse: Pulse, clock: Clock) -> None:
    beat(pulse, "running", 1)
    for _ in range(11):
        clock.now += 1
        beat(pulse, "running", 1)
    assert pulse.stopped


def test_loading_has_its_own_limit(pulse: Pulse, clock: Clock) -> None:
    beat(pulse, "running", 1)
    clock.now += 5
    beat(pulse, "loading", 1)
    clock.now += 99
    assert not pulse.stopped
    beat(pulse, "running", 1)
    clock.now += 9
    assert not pulse.stopped
    clock.now += 2
    assert pulse.stopped


def test_idle_is_life(pulse: Pulse, clock: Clock) -> None:
    beat(pulse, "idle", 1)
    clock.now += 9
    beat(pulse, "idle", 1)
    clock.now += 9
    assert not pulse.stopped
