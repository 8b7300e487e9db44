"""The errors of Paretoscope: a small hierarchy that separates bad input from faults.

An error that a user can act on says three things: where (a file and line, a tensor, a parameter),
what is wrong (with both values), and what to do. The command line prints `str(error)` and exits
with `exit_code`.

Messages may contain untrusted data (a key of a file, a tensor's name, a path); `shown` escapes it
so that it cannot control a terminal or mislead a reader.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

MOST = 20
"""Problems that are told of one bad input; of more there is a count."""

_LONG = 2000
"""Characters of one part of a message."""

# C0 and C1 controls, marks that turn the order of writing, separators of lines, lone surrogates
_HIDDEN = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_UNSEEN = re.compile(f"[{_HIDDEN}]")
_UNSEEN_IN_LINES = re.compile(f"(?![\\n\\t])[{_HIDDEN}]")


def shown(text: str, *, lines: bool = False, most: int | None = _LONG) -> str:
    r"""Text as a user may see it: what is not seen stands as an escape (`\x1b`, `\u202e`).

    Args:
        lines: keep line breaks and tabs, where they are ours or an answer's own.
        most: characters; of a longer text the beginning and a count. None: all of it.
    """
    if most is not None and len(text) > most:
        text = f"{text[: most - 30]}… ({len(text) - most + 30} characters more)"
    return (_UNSEEN_IN_LINES if lines else _UNSEEN).sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def shown_json(text: str) -> str:
    """A JSON text whose strings hold the same, and which is safe to print."""
    return _UNSEEN_IN_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class ShownFormatter(logging.Formatter):
    """Log lines that hold nothing unseen; of an exception's text only the lines stay apart."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return shown(super().formatMessage(record))

    def formatException(self, ei: object) -> str:
        return shown(super().formatException(ei), lines=True, most=None)  # type: ignore[arg-type]


def show_logs(form: str) -> None:
    """Warnings go to standard error in this form, where nothing else was arranged."""
    handler = logging.StreamHandler()
    handler.setFormatter(ShownFormatter(form))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class ParetoscopeError(Exception):
    """Root of everything raised on purpose."""

    exit_code = 1


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what the user gave.

    Attributes:
        where: the file (with line), tensor, parameter or option concerned.
        what: what is wrong, with the values that disagree.
        fix: what to do about it.

    Each is kept as `shown` shows it.
    """

    where: str
    what: str
    fix: str

    def __post_init__(self) -> None:
        for each in fields(self):
            object.__setattr__(self, each.name, shown(getattr(self, each.name)))

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.fix}".strip()

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class BadInput(ParetoscopeError):
    """What the user gave cannot be used; carries every problem found, and tells the first ones."""

    exit_code = 2

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("BadInput needs at least one problem")
        self.problems = problems
        super().__init__("\n".join(map(str, first_problems(problems))))


def first_problems(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """As many as a user reads, and one more that counts the rest."""
    more = len(problems) - MOST
    if more <= 1:
        return tuple(problems)
    count = Problem("…", f"and {more} more problems", "Fix these first, then check again.")
    return (*problems[:MOST], count)


class IncompatibleFamily(BadInput):
    """The models named as one family cannot be combined."""


class Cancelled(ParetoscopeError):
    """The user asked for this work to stop."""

    exit_code = 130


class JobFailed(ParetoscopeError):
    """A job ended without its result: the worker died, hung or ran out of memory."""


_KINDS: Mapping[type, str] = {
    type(None): "nothing",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a mapping",
}


def kind_of(data: object) -> str:
    """What a value of YAML or JSON is, in words."""
    return _KINDS.get(type(data), "a value of another kind")


def bad(where: str, what: str, fix: str = "") -> BadInput:
    """A `BadInput` of a single problem."""
    return BadInput(Problem(where, what, fix))


def unknown(where: str, kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that is not among `known`, listing the near matches first."""
    names = [str(each) for each in known]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    listing = ", ".join(names) if names else "none"
    return bad(where, f"there is no {kind} named {name!r}", f"{hint}Known: {listing}.")


def first_line(error: BaseException) -> str:
    """The first line of an error's message; its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return shown(lines[0], most=300) if lines else type(error).__name__


def is_panic(error: BaseException) -> bool:
    """Whether a library written in Rust gave up: pyo3's PanicException is no `Exception`."""
    return type(error).__name__ == "PanicException"
