"""Runs untrusted patterns and chat templates in a process that can be stopped.

    app, shell or worker ──► a request, with limits of time, size and memory ──► answers
                        ╰──► nothing came in time: that process is killed, and another started

A process is kept for the next request, so that a batch costs a millisecond; several threads have
several. `engine.apart_process` says what runs there and by which rules.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

SECONDS = 1.0
"""CPU time of one item: a conversation, or a text with a pattern."""

EACH = 0.005
"""CPU seconds that every item adds to the time of a request, beside those of one."""

WAIT = 30.0
"""Seconds beyond that until the process is killed: it may have had no CPU. One that does not hear
its timer is ended by the kernel, by CPU time, well before."""

MOST = 4_000_000
"""Characters that a template may write."""

LONGEST = 20_000
"""Characters of a pattern."""

BATCH = 256
LARGE = 8_000_000
"""Characters of a batch."""

IDLE = 2


@dataclass(frozen=True)
class Failed:
    """Why an item has no answer.

    Attributes:
        kind: "time", "memory", "size", "depth", "syntax", "error".
        line: of the template, where it can be told.
    """

    kind: str
    what: str
    line: int | None = None

    @property
    def limit(self) -> bool:
        """Whether a limit was reached, which nothing but another template or pattern repairs."""
        return self.kind not in ("syntax", "error")


@dataclass(frozen=True)
class Match:
    """A first match.

    Attributes:
        pattern: which of the patterns, from 0.
        whole: the text that it matches.
        group: its group 1; None if there is none, or it took no part.
    """

    pattern: int
    whole: str
    group: str | None


class _Process:
    """One process and the pipes to it."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", str(Path(__file__).with_name("apart_process.py"))]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def ask(self, request: bytes, seconds: float) -> list[Any] | None:
        """The answers; None if the process gave none in time, and is no more."""
        assert self._child.stdin is not None and self._child.stdout is not None
        deadline = time.monotonic() + seconds
        try:
            self._child.stdin.write(request)
            self._child.stdin.flush()
        except BrokenPipeError:
            return None
        source = self._child.stdout.fileno()
        ready = select.poll()
        ready.register(source, select.POLLIN | select.POLLHUP)
        parts: list[bytes] = []
        while not parts or not parts[-1].endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not ready.poll(left * 1000):
                return None
            part = os.read(source, 1 << 20)
            if not part:
                return None
            parts.append(part)
        found: list[Any] = json.loads(b"".join(parts))
        return found

    def end(self) -> None:
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:  # what was written and not read
                continue
        self._child.wait()


class _Processes:
    """Those that wait for a request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._owner = 0

    def ask(self, request: bytes, seconds: float) -> list[Any] | None:
        with self._lock:
            if self._owner != os.getpid():  # a fork has the pipes of its parent, and may not talk
                self._idle, self._owner = [], os.getpid()
                atexit.register(self.close)
            process = self._idle.pop() if self._idle else None
        process = process or _Process()
        found = None
        try:
            found = process.ask(request, seconds)
        finally:
            with self._lock:
                keep = found is not None and len(self._idle) < IDLE
                if keep:
                    self._idle.append(process)
            if not keep:
                process.end()
        return found

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for each in idle:
            each.end()


_PROCESSES = _Processes()


def close() -> None:
    """End the processes that wait."""
    _PROCESSES.close()


def _batches(items: Sequence[Any]) -> Iterator[list[str]]:
    """The items as JSON, some together."""
    batch: list[str] = []
    size = 0
    for each in items:
        text = json.dumps(each)
        if batch and (len(batch) >= BATCH or size + len(text) > LARGE):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    yield batch


def _ask(do: str, items: Sequence[Any], more: Mapping[str, Any]) -> list[Any]:
    """An answer for each item, in batches; behind one that took too long nothing more is tried."""
    found: list[Any] = []
    for batch in _batches(items):
        total = SECONDS + EACH * len(batch)
        head = json.dumps({"do": do, "seconds": SECONDS, "total": total, **more})
        request = f'{head[:-1]}, "items": [{", ".join(batch)}]}}\n'.encode()
        answers = _PROCESSES.ask(request, total + WAIT)
        if answers is None:
            answers = [{"failed": "time", "what": "it took too long"}]
        answers = answers if len(answers) == len(batch) else answers[:1] * len(batch)
        found += [
            Failed(each["failed"], each["what"], each.get("line"))
            if isinstance(each, dict)
            else each
            for each in answers
        ]
        if found and isinstance(found[-1], Failed) and found[-1].kind == "time":
            return found + [found[-1]] * (len(items) - len(found))
    return found


def render(
    template: str, given: Mapping[str, Any], chats: Sequence[Sequence[Mapping[str, Any]]]
) -> list[str | Failed]:
    """The text of each conversation up to where the assistant speaks.

    Args:
        given: what the template may look at beside the messages.
    """
    return _ask("render", list(chats), {"template": template, "given": given, "most": MOST})


def match(
    patterns: Sequence[str], texts: Sequence[str], *, how: str = "search"
) -> list[Match | Failed | None]:
    """The first of the patterns that matches each text, as `re` matches.

    Args:
        how: search, match or fullmatch.
    """
    found = _ask("match", texts, {"patterns": list(patterns), "how": how})
    return [Match(*each) if isinstance(each, list) else each for each in found]


@lru_cache(maxsize=64)
def groups(pattern: str) -> int | Failed:
    """How many groups a pattern has; why it is none where it does not compile."""
    if len(pattern) > LONGEST:
        return Failed("size", f"it has more than {LONGEST:,} characters")
    [found] = _ask("groups", [pattern], {})
    return found if isinstance(found, Failed) else int(found)


def ends(patterns: Sequence[Sequence[Sequence[str]]], names: Sequence[str]) -> list[Failed | None]:
    """Why a pattern does not end on these names; None if it does.

    Args:
        patterns: of each its forms, as (search, match or fullmatch; regular expression).
    """
    found = _ask("ends", patterns, {"names": list(names)})
    return [each if isinstance(each, Failed) else None for each in found]
