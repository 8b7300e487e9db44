"""Several points of LoRA experts, each on the same prompts: ours against the two ways one by one.

    ours       one batch whose rows are of different points, where that is chosen; else unmerged
    unmerged   point after point, the adapters beside the base
    merged     point after point, the adapters' products written into the base's weights

A Llama of random weights and three experts on all its linear layers. One line of JSON: `ratio` is
the faster of the two ways ÷ ours in CPU-seconds, medians of alternating runs (above 1: ours is
faster); `same` counts texts that equal the unmerged ones'.

    python -m benchmarks.lora_batch [--points 16] [--prompts 1] [--parameters 25000000]
                                    [--new 24] [--pairs 9] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from engine.compose import Composer
from engine.composed import ComposedModel
from engine.decoding.loop import generate, steps
from engine.family.compatibility import open_family
from engine.jobs.comparing import TOGETHER
from engine.recipe import Recipe, resolve
from engine.study import FamilySpec
from tests.families import BASE_ROWS, build_tokenizer

EXPERTS = ("a", "b", "c")
RANK = 16
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

Texts = list[tuple[int, ...]]


def write_family(folder: Path, parameters: int) -> FamilySpec:
    """A base of about so many parameters and experts of rank `RANK`."""
    layers = 8
    width = max(64, int((parameters / layers / 12.5) ** 0.5) // 64 * 64)
    config = LlamaConfig(
        vocab_size=BASE_ROWS, hidden_size=width, intermediate_size=2816 * width // 1024,
        num_hidden_layers=layers, num_attention_heads=width // 64,
        num_key_value_heads=width // 64, max_position_embeddings=512, initializer_range=0.08,
    )  # fmt: skip
    torch.manual_seed(0)
    base = LlamaForCausalLM(config)
    base.save_pretrained(folder / "base")
    build_tokenizer(folder / "base")
    for seed, name in enumerate(EXPERTS):
        torch.manual_seed(seed)
        model = LlamaForCausalLM.from_pretrained(folder / "base")
        adapted = get_peft_model(
            model,
            LoraConfig(r=RANK, lora_alpha=RANK, target_modules=LAYERS, task_type="CAUSAL_LM"),
        )
        with torch.no_grad():
            for key, tensor in adapted.named_parameters():
                if "lora_B" in key:
                    tensor.normal_(std=0.02)
        adapted.save_pretrained(folder / name)
    return FamilySpec(folder / "base", {name: folder / name for name in EXPERTS})


class Ways:
    """The three ways to continue the same prompts with the same points."""

    def __init__(self, composer: Composer, points: int, prompts: int, new: int) -> None:
        generator = torch.Generator().manual_seed(1)
        names = composer.family.names
        drawn = torch.rand(points, len(EXPERTS), generator=generator).tolist()
        self.recipes = [
            resolve(Recipe("task_arithmetic", dict(zip(EXPERTS, each, strict=True)), {}), names)
            for each in drawn
        ]
        lengths = torch.randint(8, 41, (prompts,), generator=generator).tolist()
        self.prompts = [
            torch.randint(5, BASE_ROWS - 8, (n,), generator=generator).tolist() for n in lengths
        ]
        self.composer = composer
        self.new = new

    def ours(self) -> Texts:
        if len(self.recipes) * len(self.prompts) > TOGETHER:
            return self.unmerged()
        count = len(self.prompts)
        owners = [point for point in range(len(self.recipes)) for _ in range(count)]
        loop = steps(
            self.composer.compose_rows(self.recipes),
            self.prompts * len(self.recipes),
            max_new_tokens=self.new,
            end_ids=frozenset(),
            owners=owners,
        )
        while True:
            try:
                next(loop)
            except StopIteration as end:
                return [each.token_ids for each in end.value]

    def unmerged(self) -> Texts:
        return self._one_by_one(self.composer.compose)

    def merged(self) -> Texts:
        def compose(recipe: Recipe) -> ComposedModel:
            merged = self.composer.merged
            merged.write(self.composer.basis(recipe), recipe.coefficients, lambda: None)
            plain = self.composer.module("base")
            return replace(plain, modules=(merged.module,))

        return self._one_by_one(compose)

    def _one_by_one(self, compose: Callable[[Recipe], ComposedModel]) -> Texts:
        found: Texts = []
        for recipe in self.recipes:
            texts = generate(
                compose(recipe), self.prompts, max_new_tokens=self.new, end_ids=frozenset()
            )
            found.extend(each.token_ids for each in texts)
        return found


def cpu_seconds(run: Callable[[], Texts]) -> tuple[float, Texts]:
    start = time.process_time()
    texts = run()
    return time.process_time() - start, texts


def same(one: Sequence[object], other: Sequence[object]) -> int:
    return sum(a == b for a, b in zip(one, other, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=16)
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--parameters", type=int, default=25_000_000)
    parser.add_argument("--new", type=int, default=24)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        family = open_family(write_family(Path(place), args.parameters))
        composer = Composer(family, device="cpu", workspace=Path(place))
        ways = Ways(composer, args.points, args.prompts, args.new)
        runs = {"ours": ways.ours, "unmerged": ways.unmerged, "merged": ways.merged}
        texts = {name: run() for name, run in runs.items()}
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(args.pairs):
            for name, run in runs.items():
                times[name].append(cpu_seconds(run)[0])
    medians = {name: statistics.median(each) for name, each in times.items()}
    found = {
        "benchmark": "lora_batch",
        "points": args.points,
        "prompts": args.prompts,
        "parameters": family.base.parameters,
        "threads": args.threads,
        "pairs": args.pairs,
        "cpu_s": {name: round(each, 3) for name, each in medians.items()},
        "ratio": round(min(medians["unmerged"], medians["merged"]) / medians["ours"], 2),
        "same": f"{same(texts['ours'], texts['unmerged'])} of {len(texts['ours'])}",
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
