"""Runs one input in this process and says what a person would not forgive.

    exit 0, 1 or 2, with words where it is not 0 · no traceback, by no way · within ten seconds ·
    with --json nothing but JSON on standard output · no control character on a terminal · no
    endless message

The alarm names the input: it stands in a file before it runs.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import logging
import os
import signal
import sys
import time
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from engine.__main__ import main

LIMIT = 10.0
"""Seconds that any input may take."""

LONGEST = 20_000
"""Characters of a message that a person may be given."""


class TooSlow(BaseException):
    """The input took longer than it may."""


@dataclass(frozen=True)
class Input:
    """One input: a file that is changed, if any, and what is run then.

    Attributes:
        door: the entry point.
        file: relative to the corpus; "" where none is changed.
        content: what the file holds instead.
        call: a function of the app, with its arguments in `words`; None for a command.
    """

    door: str
    words: tuple[str, ...]
    file: str = ""
    content: bytes = b""
    call: Callable[..., Any] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        changed = f"\n  {self.file} holding {self.content[:600]!r}" if self.file else ""
        return f"{self.door}: {str(list(self.words))[:900]}{changed}"


@dataclass(frozen=True)
class Finding:
    """What one input did that none may.

    Attributes:
        kind: findings of one kind have most likely one cause.
    """

    kind: str
    input: Input
    said: str


class _Stderr:
    """The standard error of the moment, for a log handler that outlives it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


@contextlib.contextmanager
def watched(note: Path) -> Iterator[Path]:
    """Within it an alarm stops what is too slow, and log lines go where messages go."""

    def ring(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise TooSlow

    handler = logging.StreamHandler(_Stderr())
    root = logging.getLogger()
    before, handlers = signal.signal(signal.SIGALRM, ring), root.handlers
    root.handlers = [handler]
    try:
        yield note
    finally:
        root.handlers = handlers
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def run(each: Input, root: Path, note: Path) -> tuple[list[Finding], float, str]:
    """What is wrong, the seconds it took, and how it ended; the files are the caller's to mend."""
    note.write_text(str(each))
    if each.file:
        _put(root / each.file, each.content)
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", "strict", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True)
    start, ended, crash = time.monotonic(), "", ""
    faulthandler.dump_traceback_later(6 * LIMIT, exit=True)  # where not even an alarm is heard
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            ended = str(main(each.words) if each.call is None else each.call(*each.words))
    except SystemExit as end:
        ended = str(end.code or 0)
    except TooSlow:
        ended, crash = "slow", "slow\n" + _last_frames()
    except BaseException as error:  # a panic of a library is no Exception
        ended, crash = "traceback", type(error).__name__ + " " + _last_frames()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
    took = time.monotonic() - start
    said = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    kinds = [crash] if crash else list(_wrong(each, ended, *said))
    return [Finding(kind, each, f"{ended}\n{said[1][-3000:]}") for kind in kinds], took, ended


def _put(path: Path, content: bytes) -> None:
    """Another file in its place, of another time: nothing remembered of the old one holds."""
    before = path.stat() if path.exists() else None
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    if before is not None:
        os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
    os.replace(new, path)


def _last_frames() -> str:
    lines = traceback.format_exc().strip().splitlines()
    ours = [line.strip() for line in lines if "/wt/" in line or "engine/" in line]
    return "\n".join([*ours[-3:], *(line.strip() for line in lines[-3:])])[:1500]


def _wrong(each: Input, ended: str, out: str, err: str) -> Iterator[str]:
    if "Traceback (most recent call last)" in err or "panicked at" in err:
        yield "a traceback in the words: " + err.strip().splitlines()[-1][:300]
    if len(err) > LONGEST:
        yield f"a message of more than {LONGEST} characters"
    if strange := _unseen(err):
        yield f"control characters on standard error: {strange}"
    if each.call is not None:
        return
    if ended not in ("0", "1", "2"):
        yield f"exit {ended}"
    if ended != "0" and not (err.strip() or out.strip()):  # a sweep's lines say what failed
        yield f"exit {ended} without words"
    if "--json" in each.words:
        yield from _not_json(out)
    elif strange := _unseen(out):
        yield f"control characters on standard output: {strange}"


def _unseen(text: str) -> list[str]:
    """Characters that a terminal obeys."""
    return sorted({repr(c) for c in text if unicodedata.category(c) == "Cc" and c not in "\n\t"})


def _not_json(out: str) -> Iterator[str]:
    for line in out.splitlines():
        try:
            json.loads(line, parse_constant=_no_number)
        except ValueError as error:
            yield f"no JSON on standard output: {error}"
            return
    if strange := [each for each in _unseen(out) if each != "'\\r'"]:
        yield f"control characters in JSON: {strange}"


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def distinct(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """Findings by kind, the most frequent first."""
    found: dict[str, list[Finding]] = {}
    for each in findings:
        found.setdefault(each.kind, []).append(each)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
