"""The errors of Paretoscope: one small tree, so that every caller can tell bad input from a fault.

An error that a person can act on says three things: where (a file and line, a tensor, a
parameter), what is wrong (with both values), and what to do. The command line prints `str(error)`
and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict, dataclass


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
    """

    where: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.fix}".strip()

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class BadInput(ParetoscopeError):
    """What the user gave cannot be used; carries every problem found, not only the first."""

    exit_code = 2

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("BadInput needs at least one problem")
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class IncompatibleFamily(BadInput):
    """The models named as one family cannot be combined."""


class Cancelled(ParetoscopeError):
    """The user asked for this work to stop."""

    exit_code = 130


class JobFailed(ParetoscopeError):
    """A job ended without its result: the worker died, hung or ran out of memory."""


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
    return lines[0][:300] if lines else type(error).__name__
