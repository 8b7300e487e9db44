"""What it costs a point that its numbers are looked at: evaluated with and without, in turns.

    demo     a merged point of the demo family on all of its objectives
    large    a random Llama of 100 M parameters on facts (generated) and fluency (nll)

The first point of a worker has its numbers watched; the weights of each later one are looked at.
One JSON line: CPU seconds of a later point (medians), the ratio with ÷ without, and the seconds
that the watch adds to the first.

    python -m benchmarks.soundness [--repeats 5]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.compose import Composer
from engine.composed import ComposedModel
from engine.decoding import forced_sweep, loop, soundness
from engine.decoding.fed import feed_as
from engine.decoding.feeding import PLAIN
from engine.demo import write_demo
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve
from engine.scoring import evaluate as evaluating
from engine.scoring.registry import check_objective
from engine.study import Objective, load_study


def nothing(*_: Any) -> None:
    return None


def unwatched(run: Callable[[], float]) -> float:
    with (
        patch.object(evaluating, "check_sound", nothing),
        patch.object(loop, "alike", nothing),
        patch.object(loop, "refuse_alike", nothing),
        patch.object(forced_sweep, "alike", nothing),
        patch.object(forced_sweep, "refuse_alike", nothing),
        patch.object(forced_sweep, "refuse_infinite", nothing),
    ):
        return run()


def timed(model: ComposedModel, objectives: list[Objective], base: ComposedModel) -> float:
    start = time.process_time()
    for _ in evaluating.evaluate(model, objectives, base=lambda: base):
        pass
    return time.process_time() - start


def compared(run: Callable[[], float], repeats: int) -> dict[str, float]:
    run()
    pairs = [(run(), unwatched(run)) for _ in range(repeats)]
    watched, without = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    return {"watched_s": watched, "without_s": without, "ratio": ratio}


def first_watch(model: ComposedModel, repeats: int) -> float:
    """CPU seconds of the look at weights that nobody watched before."""
    texts = [list(range(5, 40))] * 8
    found = []
    for _ in range(repeats):
        soundness._PASSED.clear()
        start = time.process_time()
        soundness.check_sound(model, texts, nothing)
        found.append(time.process_time() - start)
    return statistics.median(found)


def large(composed: ComposedModel) -> ComposedModel:
    """The same text on a random model of 100 M parameters."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32000, hidden_size=640, intermediate_size=1920, num_hidden_layers=12,
        num_attention_heads=10, num_key_value_heads=10,
    )  # fmt: skip
    module = LlamaForCausalLM(config).eval().requires_grad_(False)
    feed_as(module, PLAIN)
    return dataclasses.replace(composed, modules=(module,))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        study = load_study(write_demo(Path(place) / "demo"))
        family = open_family(study.family)
        composer = Composer(family, device="cpu")
        coefficients = {name: 0.5 for name in family.names.experts}
        recipe = resolve(Recipe("task_arithmetic", coefficients), family.names)
        model = composer.compose(recipe)
        objectives = [check_objective(each) for each in study.objectives]
        found = {"demo": compared(lambda: timed(model, objectives, model), repeats)}
        found["demo"]["first_s"] = first_watch(model, repeats)
        few = [dataclasses.replace(each, limit=64, max_new_tokens=8) for each in objectives
               if each.name in ("facts", "fluency")]  # fmt: skip
        whole = large(model)
        found["large"] = compared(lambda: timed(whole, few, whole), repeats)
        found["large"]["first_s"] = first_watch(whole, repeats)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
