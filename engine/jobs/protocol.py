"""What the app's side and the engine's side of an executor say to each other.

    app process  ── submit, cancel, ack, answer, stop ──►  worker process (or a thread, in-line)
                 ◄── event …, heartbeat, restart ──

A frame is a JSON header and, behind it, raw bytes (the per-example values of a score row as
float64); it travels with `Connection.send_bytes`, so nothing is ever pickled. Events marked `HELD`
carry a number and stay with the worker until the app acknowledges that number, which it does only
after the row is on disk, or answers it. This module knows no sockets, no torch.
"""

from __future__ import annotations

import array
import json
import struct
import sys
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from cache.claims import Answer
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

HELD: frozenset[str] = frozenset({"started", "claim", "result", "there", "done", "failed"})
FINAL: frozenset[str] = frozenset({"done", "failed"})

PROGRESS_SECONDS = 0.1
TEXT_SECONDS = 0.03
HEARTBEAT_SECONDS = 0.25


@dataclass(frozen=True)
class Job:
    """One piece of work for the engine.

    Attributes:
        kind: "open", "evaluate", "compare", … (see `engine.jobs.service`).
        payload: what to do, as JSON.
        session: the place in a person's browser that asks. It has one interactive job running and
            one waiting; a newer one replaces the one that waits. Panes that must not replace each
            other's work use different sessions. None where no such place asks: such a job waits its
            turn and is never replaced.
        priority: "interactive" parks a running "sweep".
    """

    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    session: str | None = None
    priority: Priority = "interactive"
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


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


class Emit(Protocol):
    """How a service reports from inside a job: "progress", "result", "text" or "loading" (until the
    next tick)."""

    def __call__(self, kind: str, data: Mapping[str, Any] | None = None) -> None: ...

    def claim(self, wanted: Sequence[Collection[str]], tick: Callable[[], None]) -> Answer:
        """Which of these scores the job may measure (`cache.claims.Claims.ask`); `tick` is called
        until the answer is there."""

    @property
    def asked(self) -> int:
        """How many claims any job of this engine has asked for. Where it has grown over a tick,
        what the job was granted may be another's, and it has to ask again."""


class Service(Protocol):
    """What an executor runs jobs on; lives on the engine thread, which makes every call."""

    on_cpu: bool

    def run(self, job: Job, emit: Emit, tick: Callable[[], None]) -> Mapping[str, Any]:
        """The job's result. Calls `tick` at every quantum; `tick` may raise `Cancelled` or run
        another job."""

    def park(self) -> Callable[[], None]:
        """Called before another job runs inside a tick; what it returns is called after, to put
        back what was live."""

    def rest(self) -> None:
        """Called once, when it has had nothing to do for a moment: may fetch what the next job will
        need."""

    def close(self) -> None: ...


def pack(header: Mapping[str, Any], body: bytes = b"") -> bytes:
    """One frame: the header's length (4 bytes, big-endian), the header as JSON, the body."""
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    return struct.pack(">I", len(text)) + text + body


def unpack(frame: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and body of a frame; raises `ValueError` on anything else."""
    if len(frame) < 4:
        raise ValueError(f"a frame of {len(frame)} bytes has no header")
    (length,) = struct.unpack_from(">I", frame)
    if 4 + length > len(frame):
        raise ValueError(f"a header of {length} bytes does not fit a frame of {len(frame)}")
    header = json.loads(frame[4 : 4 + length])
    if not isinstance(header, dict):
        raise ValueError("the header of a frame is not an object")
    return header, frame[4 + length :]


def _is_numbers(values: Any) -> bool:
    return values is not None and None not in values


def pack_event(event: Event, number: int | None = None) -> bytes:
    """A frame of an event; a row's `values` go behind the header as little-endian float64, unless
    some are missing."""
    data, body = dict(event.data), b""
    row = data.get("row")
    if event.kind == "result" and row and _is_numbers(row.get("values")):
        values = array.array("d", row["values"])
        if sys.byteorder == "big":
            values.byteswap()
        body = values.tobytes()
        data["row"] = {**row, "values": len(values)}
    header: dict[str, Any] = {"op": "event", "kind": event.kind, "job": event.job, "data": data}
    if number is not None:
        header["number"] = number
    return pack(header, body)


def unpack_event(header: Mapping[str, Any], body: bytes) -> Event:
    """The event of a frame's header and body."""
    data = dict(header["data"])
    row = data.get("row")
    if header["kind"] == "result" and row and isinstance(row.get("values"), int):
        values = array.array("d")
        values.frombytes(body)
        if sys.byteorder == "big":
            values.byteswap()
        if len(values) != row["values"]:
            raise ValueError(f"{row['values']} values announced, {len(values)} came")
        data["row"] = {**row, "values": values.tolist()}
    return Event(header["kind"], header["job"], data)


def submit_message(job: Job) -> bytes:
    return pack({"op": "submit", "job": asdict(job)})


def answer_message(number: int, question: int, answer: Answer) -> bytes:
    """Answers a claim, and acknowledges it: a claim whose answer was lost is sent again."""
    ids = {name: sorted(found) for name, found in vars(answer).items()}
    return pack({"op": "answer", "number": number, "question": question, **ids})


def answer_of(header: Mapping[str, Any]) -> Answer:
    """The answer in a frame's header."""
    return Answer(*(frozenset(header[name]) for name in ("granted", "there", "elsewhere")))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, the host's or the device's; needs no torch to
    tell."""
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
