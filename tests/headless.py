"""Commands of `python -m engine`, run in this process: what a shell would see of them."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ran:
    """Exit code, standard output and standard error of one command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


def run(workspace: Path, *argv: object) -> Ran:
    """One command with `--json`; never raises what the command itself should have reported."""
    from engine.__main__ import main

    words = [str(each) for each in argv]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([*words, "--json", "--workspace", str(workspace)])
        except SystemExit as end:
            code = int(end.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())
