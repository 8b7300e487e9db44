"""Sixteen weight vectors on the same prompts: written together, beside one after another.

    together      rows are distinct prefixes; then each vector's texts from what was kept
    one by one    each vector afresh, all prompts in one batch, as a sweep would without it

The demo's target, its base and an expert: proxy tuning with the expert's weight on a grid on
[0, 1], on prompts of `facts`; no token ends a text. They take turns; one JSON line a number of
prompts: medians of seconds, the median of the rounds' ratios (above 1 together is faster), the
share of tokens that were distinct by what stands before them, and whether texts were equal.

    python -m benchmarks.decode_grid [--prompts 1,8] [--vectors 16] [--new 32] [--rounds 5]
        [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from engine.compose import Composer
from engine.decoding.grid import write_ahead
from engine.decoding.loop import Kept, generate
from engine.decoding.prefixes import Prefixes
from engine.demo.write import write_demo
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve
from engine.scoring.objectives import prepare
from engine.scoring.plan import tasks
from engine.study import load_study

Texts = list[list[tuple[int, ...]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", default="1,8")
    parser.add_argument("--vectors", type=int, default=16)
    parser.add_argument("--new", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    composer, prompts_of_study = demo()
    weights = [n / (args.vectors - 1) for n in range(args.vectors)]
    # 0 would run fewer models
    recipes = [Recipe("proxy_tuning", {"honest": max(1e-6, each)}) for each in weights]
    names = composer.family.names
    models: list[Any] = [composer.compose(resolve(each, names)) for each in recipes]
    mixtures = [each.mixture for each in models]
    settings: dict[str, Any] = {"max_new_tokens": args.new, "end_ids": frozenset()}
    for count in map(int, args.prompts.split(",")):
        prompts = prompts_of_study[:count]
        shares: list[float] = []

        def together(prompts: Any = prompts, shares: list[float] = shares) -> Texts:
            kept = Kept(Prefixes())
            fed = write_ahead(kept.prefixes, models[0], mixtures, prompts, **settings)
            shares.append(fed.distinct / fed.all)
            return [texts(generate(each, prompts, kept=kept, **settings)) for each in models]

        def one_by_one(prompts: Any = prompts) -> Texts:
            return [texts(generate(each, prompts, **settings)) for each in models]

        times: list[tuple[float, float]] = []
        equal = True
        for turn in range(args.rounds + 1):
            middle = time.perf_counter()
            ours = together()
            start, middle = middle, time.perf_counter()
            theirs = one_by_one()
            equal = equal and ours == theirs
            if turn:  # the first fills caches
                times.append((middle - start, time.perf_counter() - middle))
        line = {
            "benchmark": "decode_grid",
            "prompts": count,
            "vectors": args.vectors,
            "ratio": round(statistics.median(b / a for a, b in times), 2),
            "together_s": round(statistics.median(a for a, _ in times), 3),
            "one_by_one_s": round(statistics.median(b for _, b in times), 3),
            "distinct_rows": round(shares[-1], 3),
            "equal": equal,
            "new": args.new,
            "rounds": args.rounds,
            "threads": args.threads,
        }
        print(json.dumps(line))


def demo() -> tuple[Composer, list[list[int]]]:
    """The demo's family, and prompts of its first objective that are spread over its data."""
    with tempfile.TemporaryDirectory() as place:
        study = load_study(write_demo(Path(place) / "demo"))
        composer = Composer(open_family(study.family), device="cpu")
        [first] = [each for each in prepare(study) if each.name == "facts"]
        recipe = resolve(Recipe("proxy_tuning", {"honest": 1.0}), composer.family.names)
        [task] = tasks(composer.compose(recipe), [first], "explore")
    step = max(1, len(task.prompts) // 64)
    return composer, [list(each) for each in task.prompts[::step]]


def texts(found: Any) -> list[tuple[int, ...]]:
    return [each.token_ids for each in found]


if __name__ == "__main__":
    main()
