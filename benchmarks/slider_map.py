"""The exact map of one slider on [0, 2] beside decoding at 20 of its values, one after the other.

Target + α (expert − base) with random weights, of the demo's sizes or of 100 M and 25 M parameters;
the expert is the base with noise. They take turns; one JSON line: medians of seconds, the map's ÷
the decoding's (below 1 the map, of all values, is faster than 20 of them), how many texts there
are, how many prefixes were fed, and how many of the decoded texts the map has at their value.

    python -m benchmarks.slider_map [--prompts 1] [--size demo|large] [--new 32] [--pairs 9]
        [--values 20] [--noise 0.3] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
from transformers import PreTrainedModel

from benchmarks.decode import SIZES, llama
from benchmarks.decode_step import END, Plain, prompts_of
from engine.decoding.loop import generate
from engine.decoding.slider_line import Line, line_of
from engine.decoding.slider_map import Interval, slider_map
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve

LOW, HIGH = 0.0, 2.0
NEAR = 1e-5
NAMES = Names(("expert",), has_target=True)
RECIPE = resolve(Recipe("proxy_tuning", {"expert": 1.0}), NAMES)

Texts = list[tuple[int, ...]]


def family(size: str, noise: float) -> dict[str, PreTrainedModel]:
    """Target, base, and an expert that is the base with noise, in shares of each tensor's own."""
    (large, small, vocabulary) = SIZES[size]
    models = {
        "target": llama(0, large, vocabulary),
        "base": llama(1, small, vocabulary),
        "expert": llama(1, small, vocabulary),
    }
    torch.manual_seed(2)
    with torch.no_grad():
        for each in models["expert"].parameters():
            if each.ndim > 1:
                each.add_(torch.randn_like(each), alpha=noise * float(each.std()))
    return models


def of(models: dict[str, PreTrainedModel], recipe: Recipe) -> Plain:
    mixture = METHODS[recipe.method].build(recipe.coefficients, NAMES)
    rows = models["base"].config.vocab_size
    return Plain(tuple(models[name] for name in mixture.models), mixture, rows, rows)


def mapped(
    models: dict[str, PreTrainedModel], line: Line, prompts: list[list[int]], new: int
) -> list[list[Interval]]:
    return slider_map(
        of(models, line.recipe), line, prompts, LOW, HIGH, max_new_tokens=new,
        end_ids=frozenset({END}),
    )  # fmt: skip


def decoded(
    models: dict[str, PreTrainedModel], value: float, prompts: list[list[int]], new: int
) -> Texts:
    recipe = resolve(Recipe("proxy_tuning", {"expert": value}), NAMES)
    found = generate(
        of(models, recipe), prompts, max_new_tokens=new, end_ids=frozenset({END})
    )  # fmt: skip
    return [each.token_ids for each in found]


def prefixes(found: list[list[Interval]], new: int) -> int:
    """Distinct prefixes that a model was fed, the prompts among them."""
    return len({
        (n, each.token_ids[:length])
        for n, intervals in enumerate(found)
        for each in intervals
        for length in range(min(len(each.token_ids) + 1, new))
    })  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--size", choices=list(SIZES), default="demo")
    parser.add_argument("--new", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--values", type=int, default=20)
    parser.add_argument("--noise", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    models = family(args.size, args.noise)
    prompts = prompts_of(args.prompts)
    line = line_of(RECIPE, "expert", NAMES, LOW, HIGH)
    step = (HIGH - LOW) / args.values
    values = [LOW + step * (n + 0.5) for n in range(args.values)]
    seconds: dict[str, list[float]] = {"map": [], "values": []}
    for pair in range(args.pairs + 1):
        start = time.perf_counter()
        found = mapped(models, line, prompts, args.new)
        middle = time.perf_counter()
        texts = [decoded(models, value, prompts, args.new) for value in values]
        end = time.perf_counter()
        if pair:  # the first one warms up
            seconds["map"].append(middle - start)
            seconds["values"].append(end - middle)
    same = compared = 0
    for value, said in zip(values, texts, strict=True):
        for intervals, text in zip(found, said, strict=True):
            for each in intervals:
                if each.low + NEAR < value < each.high - NEAR:
                    compared += 1
                    same += each.token_ids == text
    ratios = [a / b for a, b in zip(seconds["map"], seconds["values"], strict=True)]
    print(
        json.dumps(
            {
                "benchmark": "slider_map",
                "ratio": round(statistics.median(ratios), 3),
                "seconds": {k: round(statistics.median(v), 4) for k, v in seconds.items()},
                "texts": sum(map(len, found)),
                "prefixes": prefixes(found, args.new),
                "same": same,
                "compared": compared,
                "prompts": len(prompts),
                "size": args.size,
                "values": args.values,
                "threads": args.threads,
            }
        )
    )


if __name__ == "__main__":
    main()
