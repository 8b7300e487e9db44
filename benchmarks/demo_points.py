"""Points of the demo, this build beside an earlier one checked out somewhere else.

    sweep    16 points of proxy_tuning over target, base and three experts, by a composer whose
             models are loaded and have read nothing: one after another, or, in a build that writes
             texts of several points together, as a sweep does there
    point    one point of task arithmetic of three experts: merged in place, and scored

On 64 prompts of `facts`, 24 new tokens at most. Each build keeps a process of its own, and they
take turns. One JSON line: medians of CPU-seconds, the median of earlier ÷ this build (above 1 this
build is faster), and whether both gave every row the same score.

    git worktree add /tmp/earlier COMMIT
    python -m benchmarks.demo_points /tmp/earlier [--threads 1] [--pairs 9]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
PROMPTS, NEW, POINTS = 64, 24, 16
EXPERTS = ("helpful", "harmless", "honest")


class Measured:
    """The demo as whichever build is imported here measures it."""

    def __init__(self, study: Path) -> None:
        import engine  # noqa: F401  (registers the methods)
        from engine.family.compatibility import open_family
        from engine.scoring.registry import check_objective
        from engine.study import load_study

        self.study = load_study(study)
        self.family = open_family(self.study.family)
        asked = replace(self.study.objective("facts"), limit=PROMPTS, max_new_tokens=NEW)
        self.objective = check_objective(asked)
        self.merged = self.composer()
        self.count = 0

    def composer(self) -> Any:
        from engine.compose import Composer

        return Composer(self.family, device="cpu")

    def model(self, composer: Any, method: str, coefficients: tuple[float, ...]) -> Any:
        from engine.recipe import Recipe, resolve

        recipe = Recipe(method, dict(zip(EXPERTS, coefficients, strict=True)))
        return composer.compose(resolve(recipe, self.family.names))

    def score(self, composer: Any, method: str, coefficients: tuple[float, ...]) -> list[float]:
        from engine.scoring.evaluate import evaluate

        model = self.model(composer, method, coefficients)
        options: dict[str, Any] = {"base": lambda: composer.module("base")}
        if hasattr(composer, "prefixes"):  # as a job does
            from engine.decoding.loop import Kept

            options["kept"] = Kept(composer.prefixes)
        [(_, score, _)] = evaluate(model, [self.objective], **options)
        return list(score.values)

    def write(self, composer: Any, given: list[tuple[float, ...]]) -> None:
        """What `engine.jobs.ahead` has written before the turns of these points."""
        try:
            from engine.scoring.ahead import plan, write_texts
        except ImportError:
            return
        groups: dict[Any, list[Any]] = {}
        for each in given:
            model = self.model(composer, "proxy_tuning", each)
            groups.setdefault(model.mixture.passes, []).append(model)
        for several in groups.values():
            made = plan(several[0], [self.objective], "explore")
            if made is not None and len(several) > 1:
                tell = {"tick": lambda: None, "progress": lambda note: None}
                write_texts(made, several, composer.prefixes, **tell)

    def sweep(self) -> dict[str, Any]:
        composer = self.composer()
        for each in self.family.names.models:
            composer.module(each)
        start = time.process_time()
        given = [(a / 3, b / 3, 0.3 * (a + b) / 6) for a in range(4) for b in range(4)]
        found = []
        for each in given:
            found.append(self.score(composer, "proxy_tuning", each))
            if len(found) == 1:
                self.write(composer, given[1:])
        return {"cpu": time.process_time() - start, "values": found}

    def point(self) -> dict[str, Any]:
        self.count += 1
        given = (0.4 + 0.01 * (self.count % 7), 0.3, 0.5)
        start = time.process_time()
        found = self.score(self.merged, "task_arithmetic", given)
        return {"cpu": time.process_time() - start, "values": found}


def work(study: Path, threads: int) -> None:
    """Answer one question a line on standard input, one JSON line each."""
    import torch

    torch.set_num_threads(threads)
    measured = Measured(study)
    for line in sys.stdin:
        print(json.dumps(getattr(measured, line.strip())()), flush=True)


def compare(earlier: Path, study: Path, threads: int, pairs: int) -> dict[str, Any]:
    from benchmarks.asked import Worker  # not in a worker: its benchmarks are those of its checkout

    builds = {"ours": HERE, "earlier": earlier}
    workers = {name: Worker(__file__, each, study, threads) for name, each in builds.items()}
    found: dict[str, Any] = {"benchmark": "demo_points", "threads": threads, "pairs": pairs}
    try:
        for what in ("sweep", "point"):
            taken: dict[str, list[dict[str, Any]]] = {each: [] for each in workers}
            for turn in range(-1, pairs):  # the first warms up
                for name in list(workers) if turn % 2 == 0 else list(workers)[::-1]:
                    answer = workers[name].ask(what)
                    if turn >= 0:
                        taken[name].append(answer)
            both = list(zip(taken["earlier"], taken["ours"], strict=True))
            found[what] = {
                "ratio": round(statistics.median(a["cpu"] / b["cpu"] for a, b in both), 2),
                **{
                    f"{name}_cpu_s": round(statistics.median(each["cpu"] for each in times), 4)
                    for name, times in taken.items()
                },
                "same": all(a["values"] == b["values"] for a, b in both),
            }
    finally:
        for worker in workers.values():
            worker.end()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path, help="the earlier checkout")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.place, args.threads)
        return
    from engine.demo.write import write_demo

    with tempfile.TemporaryDirectory() as folder:
        study = write_demo(Path(folder) / "demo")
        print(json.dumps(compare(args.place.resolve(), study, args.threads, args.pairs)))


if __name__ == "__main__":
    main()
