"""What a workspace full of points costs, in this build and in an earlier one checked out elsewhere.

    sweep    CPU-seconds a row of the shell that runs `sweep` (the worker's own are not counted),
             from its first point to its last; rows come one by one (`benchmarks.one_by_one`)
    front    CPU-seconds and peak memory of `front STUDY`
    build    CPU-seconds and peak memory of opening a workspace that has journals and no index
    append   milliseconds of wall clock a row, one append each, then one question
    open     milliseconds of opening and closing a workspace whose index is level

Each build fills its own workspaces once with the same made-up rows (`benchmarks.full_workspace`)
and they take turns, round by round. One JSON line: medians of each, and earlier ÷ this build.

    git worktree add /tmp/earlier COMMIT
    python -m benchmarks.earlier_store /tmp/earlier --only sweep --points 10000 [--rounds 3]
    python -m benchmarks.earlier_store /tmp/earlier --only build,front --points 1000000 --rounds 1

`--keep DIR` keeps the workspaces there for other measures: to fill one of 1 M points takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("full_workspace.py")
MEASURES = ("sweep", "front", "build", "append", "open")
SWEPT = 5  # points of a sweep, of six objectives each

# the shell's own CPU-seconds at each line that it writes, on its standard error
SHELL = """
import resource, sys
from engine.__main__ import main
from engine.jobs.local import LocalExecutor

LocalExecutor.__init__.__kwdefaults__["service"] = "one_by_one:Service"
write, used = sys.stdout.write, []

def noted(text):
    spent = resource.getrusage(resource.RUSAGE_SELF)
    used.append(spent.ru_utime + spent.ru_stime)
    return write(text)

sys.stdout.write = noted
code = main(sys.argv[1:])
sys.stderr.write(f"\\n{used}")
sys.exit(code)
"""


def run(checkout: Path, arguments: list[str]) -> tuple[str, str, dict[str, float]]:
    """(standard output, standard error, CPU-seconds and peak MB) of `python …` in a checkout."""
    paths = os.pathsep.join(map(str, (checkout, HERE / "benchmarks")))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=checkout, env=environment, stdout=out, stderr=err
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        written, said = out.read(), err.read()
    if process.returncode:
        raise SystemExit(f"{checkout}: {' '.join(arguments)}\n{said}")
    return written, said, {"cpu_s": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}


class Side:
    """One build and its workspaces."""

    def __init__(self, checkout: Path, folder: Path, points: int, spread: float) -> None:
        self.checkout, self.folder = checkout, folder
        self.study, self.journals, self.home = (
            folder / "study.yaml",
            folder / "full",
            folder / "home",
        )
        if not self.journals.exists():
            options = ["--points", str(points), "--spread", str(spread)]
            run(checkout, [str(SCRIPT), "fill", str(folder), *options])
            self.home.rename(self.journals)

    def opened(self) -> Path:
        """The workspace, with its index."""
        if not self.home.exists():
            shutil.copytree(self.journals, self.home)
            run(self.checkout, [str(SCRIPT), "open", str(self.folder)])
        return self.home

    def sweep(self, word: str) -> dict[str, float]:
        again = self.folder / f"swept-{word}"
        shutil.copytree(self.opened(), again)
        command = ["-c", SHELL, "sweep", str(self.study), "--workspace", str(again), "--json"]
        command += ["--method", "task_arithmetic", "--points", str(SWEPT), "--strategy", "sobol"]
        lines, said, _ = run(self.checkout, command)
        shutil.rmtree(again)
        *used, _done = json.loads(said.splitlines()[-1])
        assert len(used) == len(lines.splitlines()) - 1 == SWEPT, said
        return {"cpu_s_a_row": (used[-1] - used[0]) / (6 * (SWEPT - 1))}

    def front(self, word: str) -> dict[str, float]:
        command = ["-m", "engine", "front", str(self.study), "--json"]
        return run(self.checkout, [*command, "--workspace", str(self.opened())])[2]

    def build(self, word: str) -> dict[str, float]:
        if self.home.exists():
            shutil.rmtree(self.home)
        shutil.copytree(self.journals, self.home)
        return run(self.checkout, [str(SCRIPT), "open", str(self.folder)])[2]

    def append(self, word: str) -> dict[str, float]:
        again = self.folder / f"appended-{word}"
        shutil.copytree(self.opened(), again)
        out = run(self.checkout, [str(SCRIPT), "append", str(self.folder), "--home", str(again)])[0]
        shutil.rmtree(again)
        return {"ms_a_row": float(out)}

    def open(self, word: str) -> dict[str, float]:
        self.opened()
        return {"ms": float(run(self.checkout, [str(SCRIPT), "open", str(self.folder)])[0])}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("earlier", type=Path, help="another checkout of this project")
    parser.add_argument("--only", default=",".join(MEASURES), help="separated by commas")
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--spread", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="keep the filled workspaces in this directory")
    options = parser.parse_args()
    names = options.only.split(",")
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = (options.keep or Path(place)).resolve()
        sides = [
            Side(checkout, folder / f"{name}-{options.points}", options.points, options.spread)
            for name, checkout in (("this", HERE), ("earlier", options.earlier.resolve()))
        ]
        for name in names:
            rounds = []
            for turn in range(options.rounds):
                measure: list[Callable[[str], dict[str, float]]] = [
                    getattr(side, name) for side in sides
                ]
                rounds.append([each(str(turn)) for each in measure])
            for key in rounds[0][0]:
                ours, theirs = (
                    statistics.median(pair[side][key] for pair in rounds) for side in (0, 1)
                )
                found[f"{name}_{key}"] = {
                    "this": round(ours, 5),
                    "earlier": round(theirs, 5),
                    "ratio": round(theirs / ours, 2),
                }
                sys.stderr.write(f"{name}_{key}: {found[f'{name}_{key}']}\n")
    load = os.getloadavg()[0]
    print(
        json.dumps({"benchmark": "earlier_store", "points": options.points, "load": load, **found})
    )


if __name__ == "__main__":
    main()
