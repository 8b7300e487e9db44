"""Processes of the product that start in milliseconds: forked from one that has imported it all.

    with Forks() as forks:
        run = forks.start("engine.__main__:main", [["front", …]], temporary=tmp)
        os.kill(run.pid, signal.SIGKILL)
        code, out = run.wait()

What is forked has run nothing before, has no thread, and shares nothing that it could change.

    python -m tests.faults.forks     the process that forks: orders on standard input, JSON lines
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.faults.moments import CHANGES, at_moment, die

ROOT = Path(__file__).resolve().parents[2]

MAIN = "engine.__main__:main"
"""The command line."""

IMPORTS = (
    "cache.store", "cache.blobs", "duckdb", "pyarrow.json", "pyarrow.parquet", "torch", "peft",
    "transformers", "transformers.models.llama.modeling_llama", "engine.__main__",
    "engine.commands.points", "engine.commands.sweeping", "engine.commands.fronts",
    "engine.commands.files", "engine.commands.merging", "engine.jobs.service",
    "engine.jobs.inline", "engine.export.point", "engine.demo",
)  # fmt: skip


class Run:
    """One forked process."""

    def __init__(self, forks: Forks, pid: int, out: Path) -> None:
        self.pid, self.out = pid, out
        self._forks = forks

    def wait(self) -> tuple[int, str]:
        """Its exit code, minus the signal where one ended it, and what it printed."""
        code = int(self._forks._ask({"wait": True})["code"])
        return code, self.out.read_text("utf-8", "replace")


class Forks:
    """The process that forks; one run at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks"],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == {"ready": True}

    def start(
        self,
        call: str,
        words: list[Any],
        out: Path,
        temporary: Path,
        *,
        die_at: int | None = None,
        largest: int | None = None,
    ) -> Run:
        """Call a function in a new process.

        Args:
            call: module:function.
            out: the file that takes what it prints, on both streams.
            temporary: its directory for temporary files.
            die_at: the moment (`tests.faults.moments`) at which it kills itself.
            largest: bytes that any file may have: its disk is full there.
        """
        order = {
            "call": call, "words": words, "out": str(out), "temporary": str(temporary),
            "die_at": die_at, "largest": largest,
        }  # fmt: skip
        return Run(self, int(self._ask(order)["pid"]), out)

    def call(self, call: str, words: list[Any], out: Path, temporary: Path, **more: Any) -> Any:
        """`start`, to the end: its exit code and what it printed."""
        return self.start(call, words, out, temporary, **more).wait()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process that forks has ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def _child(order: dict[str, Any], piped: int) -> int:
    """What the new process does; what it says goes to `piped`."""
    if order["largest"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest"],) * 2)
    os.dup2(piped, 1)
    os.dup2(piped, 2)
    os.close(0)
    tempfile.tempdir = os.environ["TMPDIR"] = order["temporary"]
    module, _, name = order["call"].partition(":")
    function = getattr(import_module(module), name)
    try:
        if order["die_at"] is None:
            return int(function(*order["words"]) or 0)
        with at_moment(order["die_at"], die, CHANGES):
            return int(function(*order["words"]) or 0)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 99


def _copier(out: int) -> tuple[int, int]:
    """(process without a limit that writes down what a limited one says, where to say it)."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        while data := os.read(read, 1 << 16):
            os.write(out, data)
        os._exit(0)
    os.close(read)
    return pid, write


def main() -> None:
    for each in IMPORTS:
        import_module(each)
    answers = os.fdopen(os.dup(1), "w")

    def answer(**what: Any) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    answer(ready=True)
    pid = copier = 0
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:  # only now: until then the id is the killed process's own
            _, status = os.waitpid(pid, 0)
            if copier:
                os.waitpid(copier, 0)
            answer(code=os.waitstatus_to_exitcode(status))
            continue
        piped = os.open(order["out"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND, 0o600)
        copier = 0
        if order["largest"] is not None:  # what it says needs no file then
            copier, piped = _copier(piped)
        pid = os.fork()
        if pid == 0:
            code = 98
            try:
                code = _child(order, piped)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.close(piped)
        answer(pid=pid)


if __name__ == "__main__":
    main()
