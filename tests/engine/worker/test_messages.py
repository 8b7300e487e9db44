from __future__ import annotations

import math
import struct
from typing import get_args

import pytest

from engine.errors import BadInput, Cancelled, IncompatibleFamily, JobFailed, Problem, bad
from engine.worker.messages import (
    KINDS,
    Answer,
    Cancel,
    Event,
    Heartbeat,
    Job,
    Message,
    Options,
    Refused,
    Reply,
    Restart,
    Stop,
    Submit,
    error_of,
    failure_of,
    is_out_of_memory,
    pack,
    unpack,
)


def test_a_frame_is_length_header_and_bytes() -> None:
    event = Event("result", "j", {"row": {"values": [1.0]}})
    head = b'{"is":"Event","kind":"result","job":"j","data":{"row":{"values":1}}}'
    assert pack(event) == len(head).to_bytes(4, "big") + head + struct.pack("<d", 1.0)


@pytest.mark.parametrize("frame", [b"", b"\x00\x00", b"\x00\x00\x00\x09{}"])
def test_what_is_no_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError):
        unpack(frame)


@pytest.mark.parametrize("head", [b"[]", b"{x", b"{}", b'{"is":"x"}', b'{"is":"Cancel"}'])
def test_what_is_no_message_is_refused(head: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        unpack(len(head).to_bytes(4, "big") + head)


@pytest.mark.parametrize(
    "message",
    [
        Options("engine.jobs.service:Service", "/home", "cpu"),
        Submit(Job("evaluate", {"recipes": [{"method": "linear"}]}, "pane", "sweep")),
        Cancel("j"),
        Reply(3, Answer(frozenset("ab"), frozenset("c"))),
        Stop(),
        Event("failed", "j", {"failure": "hung", "reason": "no step"}),
        Event("result", "j", {"row": {"kind": "score", "values": [1.0, None]}}),
        Event("result", "j", {"row": {"kind": "failure", "error": "no"}}),
        Heartbeat(7, "running", "j"),
        Restart(),
        Refused({"failure": "error", "reason": "no torch"}),
    ],
)
def test_every_message_crosses_whole(message: Message) -> None:
    assert unpack(pack(message)) == message


def test_each_kind_of_message_is_known_by_its_own_name() -> None:
    assert set(KINDS.values()) == set(get_args(Message))


def test_jobs_have_ids_of_their_own() -> None:
    assert Job("evaluate").id != Job("evaluate").id


def test_values_travel_as_float64_and_nan_survives_there() -> None:
    values = [1.0, 0.1, 1e-320, math.inf, math.nan]
    frame = pack(Event("result", "j", {"row": {"kind": "score", "mean": None, "values": values}}))
    assert frame.endswith(struct.pack("<5d", *values))
    event = unpack(frame)
    assert isinstance(event, Event)
    back = event.data["row"]["values"]
    assert back[:4] == values[:4] and math.isnan(back[4])


def test_a_body_that_was_cut_is_refused() -> None:
    frame = pack(Event("result", "j", {"row": {"values": [1.0, 2.0]}}))
    with pytest.raises(ValueError, match="2 values announced, 1 received"):
        unpack(frame[:-8])


def test_a_header_holds_no_nan() -> None:
    with pytest.raises(ValueError):
        pack(Event("done", "j", {"mean": math.nan}))


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


def test_errors_cross_and_keep_their_kind() -> None:
    back = error_of(failure_of(bad("a.yaml:3", "wrong", "Fix it.")))
    assert type(back) is BadInput and back.problems == (Problem("a.yaml:3", "wrong", "Fix it."),)
    assert (
        type(error_of(failure_of(IncompatibleFamily(Problem("a", "b", "c"))))) is IncompatibleFamily
    )
    assert type(error_of(failure_of(Cancelled("superseded")))) is Cancelled
    back = error_of(failure_of(KeyError("x")))
    assert type(back) is JobFailed and "KeyError" in str(back)
    assert failure_of(OutOfMemoryError("CUDA out of memory"))["failure"] == "memory"


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("no"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_that_ran_out_is_known_without_torch(error: Exception, memory: bool) -> None:
    assert is_out_of_memory(error) is memory
