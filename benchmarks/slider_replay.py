"""A slider's move in logit space: what is decided from what is kept, beside decoding it afresh.

    same       a move changes no token, nor did the one before: no    ratio: fresh ÷ kept
               model runs
    late       it changes one near the end: where the last text       ratio: kept ÷ decoding as
               ended, cut back to there, goes on                             many tokens afresh

Three Llama models of the demo's size with random weights, fused; one prompt. The two take turns;
one JSON line: medians of milliseconds and of the rounds' ratios, and whether texts were equal.

    python -m benchmarks.slider_replay [--prompt 32] [--new 48] [--rounds 9] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel

from benchmarks.decode import SIZES, as_loaded, llama
from benchmarks.decode_step import Plain
from engine.decoding.fusion import Mixture
from engine.decoding.loop import Generation, Kept, generate
from engine.decoding.prefixes import Prefixes

END: frozenset[int] = frozenset()


class Sliders:
    """target + α (expert − base), asked again and again for the text of one prompt."""

    def __init__(self, prompt: int, new: int) -> None:
        large, small, self.vocabulary = SIZES["demo"]
        self.new = new
        made = (
            llama(0, large, self.vocabulary),
            *(llama(seed, small, self.vocabulary) for seed in (1, 2)),
        )
        self.models: tuple[PreTrainedModel, ...] = tuple(map(as_loaded, made))
        generator = torch.Generator().manual_seed(7)
        self.prompt = torch.randint(3, self.vocabulary, (prompt,), generator=generator).tolist()

    def text(self, weight: float, kept: Kept | None, new: int = 0) -> tuple[int, ...]:
        mixture = Mixture(("target", "expert", "base"), (1.0, weight, -weight))
        model: Any = Plain(self.models, mixture, self.vocabulary, self.vocabulary)
        found: list[Generation] = generate(
            model, [self.prompt], max_new_tokens=new or self.new, end_ids=END, kept=kept
        )
        return found[0].token_ids

    def late(self, first: float) -> tuple[float, int]:
        """A weight near this one whose text parts from its own in the last third, and where."""
        text = self.text(first, None)
        for step in range(1, 400):
            weight = first + step / 400
            other = self.text(weight, None)
            if other != text:
                place = next(n for n in range(self.new) if other[n] != text[n])
                if place >= self.new * 2 // 3:
                    return weight, place
                first, text = weight, other
        raise SystemExit("no text parts late: use another seed")


def seconds(run: Callable[[], tuple[int, ...]]) -> tuple[float, tuple[int, ...]]:
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--new", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    sliders = Sliders(args.prompt, args.new)
    weight = 0.7
    far, place = sliders.late(weight)
    left = args.new - place
    times: dict[str, list[float]] = {"fresh": [], "same": [], "late": [], "suffix": []}
    equal = True
    for turn in range(args.rounds + 1):
        kept = Kept(Prefixes())
        sliders.text(far - 1 / 400, kept)
        moved = weight + turn * 1e-7
        sliders.text(moved, kept)
        fresh, want = seconds(lambda moved=moved: sliders.text(moved, None))  # type: ignore[misc]
        same, found = seconds(lambda m=moved, k=kept: sliders.text(m, k))  # type: ignore[misc]
        late, parted = seconds(lambda k=kept: sliders.text(far, k))  # type: ignore[misc]
        whole, _ = seconds(lambda: sliders.text(far, None))
        before, _ = seconds(lambda: sliders.text(far, None, place))
        equal = equal and found == want and parted == sliders.text(far, None)
        if turn:  # the first fills caches
            for name, value in zip(times, (fresh, same, late, whole - before), strict=True):
                times[name].append(value)
    ratios = {
        "same": statistics.median(
            a / b for a, b in zip(times["fresh"], times["same"], strict=True)
        ),
        "late": statistics.median(times["late"]) / statistics.median(times["suffix"]),
    }
    line = {
        "benchmark": "slider_replay",
        **{f"{name}_ratio": round(value, 2) for name, value in ratios.items()},
        **{f"{name}_ms": round(1000 * statistics.median(each), 3) for name, each in times.items()},
        "equal": equal,
        "new": args.new,
        "suffix": left,
        "rounds": args.rounds,
        "threads": args.threads,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
