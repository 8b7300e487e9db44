from __future__ import annotations

import math
from dataclasses import asdict

import pytest

from engine.errors import BadInput, Cancelled, IncompatibleFamily, JobFailed, Problem, bad
from engine.jobs.protocol import (
    Event,
    Job,
    error_of,
    failure_of,
    is_out_of_memory,
    pack,
    pack_event,
    submit_message,
    unpack,
    unpack_event,
)


def test_a_frame_is_length_header_and_bytes() -> None:
    frame = pack({"op": "ack"}, b"\x00\xff")
    assert frame == b'\x00\x00\x00\x0c{"op":"ack"}\x00\xff'
    assert unpack(frame) == ({"op": "ack"}, b"\x00\xff")


@pytest.mark.parametrize(
    "frame", [b"", b"\x00\x00", b"\x00\x00\x00\x09{}", b"\x00\x00\x00\x02[]", b"\x00\x00\x00\x02{x"]
)
def test_what_is_no_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError):
        unpack(frame)


def test_a_job_crosses_whole() -> None:
    job = Job("evaluate", {"recipes": [{"method": "linear"}]}, "pane", "sweep")
    header, _ = unpack(submit_message(job))
    assert Job(**header["job"]) == job
    assert asdict(job)["id"] == job.id != Job("evaluate").id


def test_values_travel_as_float64_and_nan_survives_there() -> None:
    values = [1.0, 0.1, 1e-320, math.inf, math.nan]
    event = Event("result", "j", {"row": {"kind": "score", "mean": None, "values": values}})
    header, body = unpack(pack_event(event, 3))
    assert len(body) == 8 * len(values) and header["number"] == 3
    back = unpack_event(header, body).data["row"]["values"]
    assert back[:4] == values[:4] and math.isnan(back[4])


def test_missing_values_stay_missing() -> None:
    event = Event("result", "j", {"row": {"kind": "score", "values": [1.0, None]}})
    assert unpack_event(*unpack(pack_event(event))) == event
    event = Event("result", "j", {"row": {"kind": "failure", "error": "no"}})
    assert unpack_event(*unpack(pack_event(event))) == event


def test_a_body_that_was_cut_is_refused() -> None:
    event = Event("result", "j", {"row": {"values": [1.0, 2.0]}})
    header, body = unpack(pack_event(event))
    with pytest.raises(ValueError, match="2 values announced, 1 came"):
        unpack_event(header, body[:8])


def test_a_header_holds_no_nan() -> None:
    with pytest.raises(ValueError):
        pack_event(Event("done", "j", {"mean": math.nan}))


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


def test_errors_cross_and_keep_their_kind() -> None:
    back = error_of(failure_of(bad("a.yaml:3", "wrong", "Mend it.")))
    assert type(back) is BadInput and back.problems == (Problem("a.yaml:3", "wrong", "Mend it."),)
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
