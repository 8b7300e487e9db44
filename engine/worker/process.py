"""A worker process: started with one end of a pair of sockets, ended, and how it ended in words.

    Popen(python -m MODULE DESCRIPTOR)   the child has one end, inherited; nobody else can reach it
                 ◄── pair of sockets ──►

The kernel closes the pair's other end however either process ends: a parent sees its child's death
within milliseconds, and a child that hears nobody any more ends itself, so it is no orphan.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue

from engine.worker.messages import Options, pack

END_SECONDS = 0.5  # a process whose connection ended has ended by then
BATCH = 100  # frames taken at once, so that rows that come together share one fsync


class Process:
    """One worker process.

    Args:
        command: what to run; the descriptor of its end is added.
        options: its first message.
    """

    def __init__(
        self, command: Sequence[str], options: Options, environment: Mapping[str, str]
    ) -> None:
        self.connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a library prints stands beside the messages
                pass_fds=[theirs.fileno()],
                env=environment,
            )
        with contextlib.suppress(OSError):  # it has ended already, and says why on standard error
            self.connection.send_bytes(pack(options))

    @property
    def pid(self) -> int | None:
        """None once it has ended."""
        return self._process.pid if self._process.poll() is None else None

    def heard(self, seconds: float) -> bool:
        """Whether it sends something other than its end within so many seconds."""
        if not self.connection.poll(seconds):
            return False
        with socket.socket(fileno=os.dup(self.connection.fileno())) as end:
            try:
                return bool(end.recv(1, socket.MSG_PEEK))
            except OSError:
                return False

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()

    def end(self) -> int:
        """Make sure that it has ended, a moment after its connection has; its exit code."""
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._process.wait()


def inherited(descriptor: int) -> Connection:
    """The worker's end of the connection, not inherited by its own children."""
    os.set_inheritable(descriptor, False)
    return Connection(descriptor)


def receive(connection: Connection) -> list[bytes] | None:
    """The available frames, waiting briefly for the first; None once the connection has ended."""
    frames: list[bytes] = []
    try:
        if wait([connection], 0.1):
            frames.append(connection.recv_bytes())
            while len(frames) < BATCH and connection.poll(0):
                frames.append(connection.recv_bytes())
    except (EOFError, OSError):
        return frames or None
    return frames


def send(connection: Connection, outgoing: SimpleQueue[bytes | None]) -> None:
    """Send frames until a None comes or the connection is gone."""
    while (frame := outgoing.get()) is not None:
        try:
            connection.send_bytes(frame)
        except OSError:
            return


def how(code: int) -> str:
    """How a process of this exit code ended."""
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return "was killed, probably out of memory"
    if code < 0:
        return f"died of {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
