"""From `kill -9` of the worker to a worker that is ready, this build beside an earlier one.

Each build has one process of its own, which holds a local executor on the demo study and is told
when to kill; the two take turns. Seconds from the kill, and CPU-seconds of the new worker until
then, which a busy machine does not change much:

    ready    the executor takes jobs, and the family is open again
    answer   from the same kill, a prompt has its first token: the models are loaded too

One JSON line: medians, and the ratio of the two builds (the median of the rounds' ratios); below 1
is this build being faster.

    git worktree add /tmp/earlier COMMIT
    python -m benchmarks.restart /tmp/earlier [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
INSIDE = "--inside"
NAMES = ("ready_seconds", "ready_cpu", "answer_seconds", "answer_cpu")


def cpu_of(pid: int | None) -> float:
    """CPU-seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def inside() -> None:
    """A build's own process: kills its worker for each line of standard input."""
    from engine.demo import demo_in
    from engine.jobs.executor import wait_until_ready
    from engine.jobs.local import LocalExecutor
    from engine.worker.messages import Job

    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "home"
        study = str(demo_in(home))
        prompt = {
            "study": study,
            "recipe": {"method": "single", "parameters": {"model": "base"}},
            "prompts": ["the"],
            "max_new_tokens": 1,
        }
        with LocalExecutor(home, device="cpu") as executor:

            def until_answer(start: float) -> list[float]:
                found = []
                for kind, payload in (("open", {"study": study}), ("generate", prompt)):
                    executor.submit(Job(kind, payload, kind)).result(300)
                    wait_until_ready(executor, 300)
                    found += [time.perf_counter() - start, cpu_of(executor.pid)]
                return found

            until_answer(0.0)
            print("there", flush=True)
            for _ in sys.stdin:
                worker = executor.pid
                assert worker is not None
                start = time.perf_counter()
                os.kill(worker, signal.SIGKILL)
                while executor.pid in (worker, None):
                    time.sleep(0.005)
                print(json.dumps(until_answer(start)), flush=True)


class Build:
    """A checkout's process."""

    def __init__(self, checkout: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), INSIDE],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a build's process ended ({self.process.wait()})")
        return line

    def restart(self) -> list[float]:
        """NAMES of one kill."""
        assert self.process.stdin is not None
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        found: list[float] = json.loads(self._line())
        return found

    def end(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("earlier", type=Path, help="another checkout of this project")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    builds = [Build(HERE), Build(options.earlier.resolve())]
    pairs: list[list[list[float]]] = []
    try:
        for index in range(options.rounds + 1):
            pair = [each.restart() for each in builds]
            if index:  # the first round fills caches
                pairs.append(pair)
    finally:
        for each in builds:
            each.end()
    result: dict[str, Any] = {"benchmark": "restart", "rounds": options.rounds}
    for place, name in enumerate(NAMES):
        ours = [pair[0][place] for pair in pairs]
        theirs = [pair[1][place] for pair in pairs]
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        result[name] = {
            "ours": round(statistics.median(ours), 3),
            "earlier": round(statistics.median(theirs), 3),
            "ratio": round(ratio, 3),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    inside() if INSIDE in sys.argv[1:] else main()
