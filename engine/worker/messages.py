"""All messages between the app's side and the worker's side of a connection.

    app process  ── Options, Submit, Cancel, Reply, Stop ──►  worker process (or a thread, in-line)
                 ◄── Event …, Heartbeat, Restart, Refused ──

A frame is a JSON header and, behind it, raw bytes (the per-example values of a score row as
float64); it travels with `Connection.send_bytes`, so nothing is ever pickled. The two ends are a
pair of sockets that nobody else can reach: what was sent arrives, in order, or its reader is gone.
"""

from __future__ import annotations

import array
import json
import struct
import sys
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from engine.errors import (
    BadInput,
    Cancelled,
    IncompatibleFamily,
    JobFailed,
    ParetoscopeError,
    Problem,
    first_problems,
)

Priority = Literal["interactive", "sweep"]
EventKind = Literal[
    "accepted", "started", "progress", "claim", "result", "there", "text", "done", "failed"
]
FailureKind = Literal["bad_input", "cancelled", "died", "hung", "memory", "error"]
State = Literal["idle", "loading", "running"]

FINAL: frozenset[str] = frozenset({"done", "failed"})


@dataclass(frozen=True)
class Job:
    """One piece of work for the engine.

    Attributes:
        kind: "open", "evaluate", "compare", … (see `engine.jobs.service`).
        payload: what to do, as JSON.
        session: the place in a user's browser that asks. It has one interactive job running and
            one waiting; a newer one replaces the one that waits. Panes that must not replace each
            other's work use different sessions. None if no such place asks: such a job waits its
            turn and is never replaced.
        priority: "interactive" parks a running "sweep".
    """

    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    session: str | None = None
    priority: Priority = "interactive"
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Answer:
    """What becomes of the score ids of a job; ids in none of the three were not checked."""

    granted: frozenset[str] = frozenset()
    there: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Options:
    """The first message: what the worker runs, and how.

    Attributes:
        service: import path of what runs the jobs, `module:name`.
    """

    service: str
    workspace: str
    device: str
    compute_dtype: str | None = None


@dataclass(frozen=True)
class Submit:
    job: Job


@dataclass(frozen=True)
class Cancel:
    job: str


@dataclass(frozen=True)
class Reply:
    """To a claim, by its question."""

    question: int
    answer: Answer


@dataclass(frozen=True)
class Stop:
    """Cancel everything, and end."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    Attributes:
        data: progress: {"done", "total", …}; claim: {"question", "wanted": groups of ids of scores
            that the job would measure}, answered and given to nobody else; result: {"row": a score
            or failure row}; there: {"point"}, whose scores another process measured; text:
            {"texts": {output index as a string: the text so far}}; done: the job's result; failed:
            {"reason", "failure": a `FailureKind`, "problems"}; empty for accepted and started.
    """

    kind: EventKind
    job: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Heartbeat:
    """The worker is alive: quanta so far, current activity and job."""

    ticks: int
    state: State
    job: str | None = None


@dataclass(frozen=True)
class Restart:
    """Memory ran out: the worker ends and has to be restarted."""


@dataclass(frozen=True)
class Refused:
    """The worker cannot start at all; `data` is that of a failed event."""

    data: Mapping[str, Any]


Message = Options | Submit | Cancel | Reply | Stop | Event | Heartbeat | Restart | Refused
KINDS: dict[str, type[Any]] = {
    each.__name__: each
    for each in (Options, Submit, Cancel, Reply, Stop, Event, Heartbeat, Restart, Refused)
}


def pack(message: Message) -> bytes:
    """A frame: the header's length (4 bytes, big-endian), the header as JSON, the body, which is a
    row's `values` as little-endian float64 unless some are missing.

    Raises:
        TypeError, ValueError: what it says is not JSON.
    """
    said: dict[str, Any] = {"is": type(message).__name__}
    body = b""
    if isinstance(message, Event):
        data, body = _without_values(message)
        said |= {"kind": message.kind, "job": message.job, "data": data}
    elif isinstance(message, Reply):
        ids = {name: sorted(found) for name, found in vars(message.answer).items()}
        said |= {"question": message.question, "answer": ids}
    else:
        said |= asdict(message)
    text = json.dumps(said, separators=(",", ":"), allow_nan=False).encode()
    return struct.pack(">I", len(text)) + text + body


def unpack(frame: bytes) -> Message:
    """The message of a frame; raises `ValueError`, `KeyError` or `TypeError` on anything else."""
    if len(frame) < 4:
        raise ValueError(f"a frame of {len(frame)} bytes has no header")
    (length,) = struct.unpack_from(">I", frame)
    if 4 + length > len(frame):
        raise ValueError(f"a header of {length} bytes does not fit a frame of {len(frame)}")
    said = json.loads(frame[4 : 4 + length])
    if not isinstance(said, dict):
        raise ValueError("the header of a frame is not an object")
    kind = KINDS[said.pop("is")]
    if kind is Submit:
        said["job"] = Job(**said["job"])
    elif kind is Reply:
        said["answer"] = Answer(**{name: frozenset(ids) for name, ids in said["answer"].items()})
    elif kind is Event:
        said["data"] = _with_values(said["data"], frame[4 + length :])
    message: Message = kind(**said)
    return message


def _without_values(event: Event) -> tuple[dict[str, Any], bytes]:
    data = dict(event.data)
    row = data.get("row") or {}
    given = row.get("values") if event.kind == "result" else None
    if given is None or None in given:
        return data, b""
    values = array.array("d", given)
    if sys.byteorder == "big":
        values.byteswap()
    data["row"] = {**row, "values": len(values)}
    return data, values.tobytes()


def _with_values(data: dict[str, Any], body: bytes) -> dict[str, Any]:
    row = data.get("row")
    if not (isinstance(row, dict) and isinstance(row.get("values"), int)):
        return data
    values = array.array("d")
    values.frombytes(body)
    if sys.byteorder == "big":
        values.byteswap()
    if len(values) != row["values"]:
        raise ValueError(f"{row['values']} values announced, {len(values)} received")
    return {**data, "row": {**row, "values": values.tolist()}}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that host or device memory ran out; needs no torch."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text or "out of memory" in text
    )


def failure_of(error: BaseException) -> dict[str, Any]:
    """The data of a failed event that says what an error said."""
    if isinstance(error, BadInput):
        return {
            "failure": "bad_input",
            "reason": str(error),
            "problems": [problem.as_dict() for problem in first_problems(error.problems)],
            "family": isinstance(error, IncompatibleFamily),
        }
    if isinstance(error, Cancelled):
        return {"failure": "cancelled", "reason": str(error) or "cancelled"}
    if is_out_of_memory(error):
        return {
            "failure": "memory",
            "reason": f"out of memory ({str(error) or type(error).__name__})",
        }
    if isinstance(error, ParetoscopeError):
        return {"failure": "error", "reason": str(error)}
    return {"failure": "error", "reason": f"{type(error).__name__}: {error}"}


def error_of(data: Mapping[str, Any]) -> ParetoscopeError:
    """The error that a failed event stands for, as `Handle.result` raises it."""
    if data["failure"] == "bad_input":
        problems = [Problem(**problem) for problem in data["problems"]]
        return IncompatibleFamily(*problems) if data.get("family") else BadInput(*problems)
    if data["failure"] == "cancelled":
        return Cancelled(data["reason"])
    return JobFailed(data["reason"])
