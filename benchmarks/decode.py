"""Three models fused, beside what one writes with transformers today; the same greedy texts.

    ours         the decode loop over target + α (expert − base)
    cached       the target's `generate`; a LogitsProcessor runs the small models, with caches
    uncached     the same without: the small models read the whole text at every step
    sum          `generate` of each of the three models by itself, one after the other

Llama models with random weights: a target of 100 M parameters, two of 25 M, or those of the demo.
Ours are copies whose layers multiply as those of a loaded model do (`engine.family.products`).
They take turns; one JSON line for each number of rows: medians of seconds, theirs ÷ ours (above 1
ours is faster), and how many rows say the same tokens as with a cached processor.

    python -m benchmarks.decode [--rows 8,32] [--size large|demo] [--new 32] [--pairs 9]
        [--threads 1] [--uncached-pairs 3]
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    LlamaConfig,
    LlamaForCausalLM,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
)

from benchmarks.decode_step import END, Plain
from engine.decoding.fusion import Mixture
from engine.decoding.loop import generate
from engine.family.products import quicken

ALPHA = 0.7
SIZES = {
    "large": ((768, 12, 12, 2048), (384, 10, 6, 1024), 16000),
    "demo": ((192, 6, 6, 512), (96, 4, 4, 256), 1024),
}
"""(hidden, layers, heads, inner) of the target and of the small models, and the vocabulary."""

Texts = list[list[int]]


def llama(seed: int, sizes: tuple[int, int, int, int], vocabulary: int) -> PreTrainedModel:
    torch.manual_seed(seed)
    hidden, layers, heads, inner = sizes
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads // 2, intermediate_size=inner,
        max_position_embeddings=512, initializer_range=0.1, tie_word_embeddings=True,
        pad_token_id=0, bos_token_id=1, eos_token_id=END,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def as_loaded(model: PreTrainedModel) -> PreTrainedModel:
    """A copy as `engine.family.loading` would have loaded it."""
    model = copy.deepcopy(model)
    quicken(model)
    return model


class Steered(LogitsProcessor):
    """Adds α (expert − base) to the target's logits, row by row.

    Args:
        mask: int64 [rows, columns] of the prompts.
        cached: the small models keep what they have read.
    """

    def __init__(
        self, expert: PreTrainedModel, base: PreTrainedModel, mask: Tensor, cached: bool
    ) -> None:
        self.models = (expert, base)
        self.mask = mask
        self.caches = [DynamicCache(config=each.config) for each in self.models] if cached else None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # type: ignore[override]
        more = input_ids.shape[1] - self.mask.shape[1]
        ones = self.mask.new_ones(len(input_ids), more)
        mask = torch.cat([self.mask, ones], 1)
        places = (mask.cumsum(-1) - 1).clamp(min=0)
        said = []
        for number, model in enumerate(self.models):
            cache = self.caches[number] if self.caches is not None else None
            new = 1 if cache is not None and cache.get_seq_length() else input_ids.shape[1]
            out = model(
                input_ids=input_ids[:, -new:], attention_mask=mask, position_ids=places[:, -new:],
                past_key_values=cache, use_cache=cache is not None, logits_to_keep=1,
            )  # fmt: skip
            said.append(out.logits[:, -1])
        return scores + ALPHA * (said[0] - said[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="8,32")
    parser.add_argument("--size", choices=SIZES, default="large")
    parser.add_argument("--new", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--uncached-pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    large, small, vocabulary = SIZES[args.size]
    target = llama(0, large, vocabulary)
    expert, base = (llama(seed, small, vocabulary) for seed in (1, 2))
    mixture = Mixture(("target", "expert", "base"), (1.0, ALPHA, -ALPHA))
    for rows in map(int, args.rows.split(",")):
        measure(args, (target, expert, base), mixture, rows, vocabulary)


def measure(
    args: argparse.Namespace,
    models: tuple[PreTrainedModel, ...],
    mixture: Mixture,
    rows: int,
    vocabulary: int,
) -> None:
    target, expert, base = models
    generator = torch.Generator().manual_seed(7)
    lengths = torch.randint(16, 65, (rows,), generator=generator).tolist()
    prompts = [torch.randint(3, vocabulary, (n,), generator=generator).tolist() for n in lengths]
    width = max(lengths)
    ids = torch.tensor([[0] * (width - len(each)) + each for each in prompts])
    mask = torch.tensor([[0] * (width - len(each)) + [1] * len(each) for each in prompts])
    fused = Plain(tuple(map(as_loaded, models)), mixture, vocabulary, vocabulary)

    def ours() -> Texts:
        found = generate(fused, prompts, max_new_tokens=args.new, end_ids=frozenset({END}))
        return [list(each.token_ids) for each in found]

    def theirs(model: PreTrainedModel, *processors: LogitsProcessor) -> Texts:
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=args.new, do_sample=False,
                logits_processor=LogitsProcessorList(processors),
            )  # fmt: skip
        new = out[:, width:].tolist()
        return [row[: row.index(END)] if END in row else row for row in new]

    ways: dict[str, Callable[[], object]] = {
        "ours": ours,
        "cached": lambda: theirs(target, Steered(expert, base, mask, True)),
        "sum": lambda: [theirs(each) for each in models],
        "uncached": lambda: theirs(target, Steered(expert, base, mask, False)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    texts: dict[str, object] = {}
    for pair in range(-1, args.pairs):  # the first warms up
        for name, run in ways.items():
            if name == "uncached" and pair >= args.uncached_pairs:
                continue
            start = time.perf_counter()
            texts[name] = run()
            if pair >= 0:
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(each) for name, each in seconds.items() if each}
    said, by_processor = texts["ours"], texts["cached"]
    assert isinstance(said, list) and isinstance(by_processor, list)
    print(
        json.dumps(
            {
                "benchmark": "decode",
                "size": args.size,
                "rows": rows,
                "ratio": {
                    name: round(value / medians["ours"], 2)
                    for name, value in medians.items()
                    if name != "ours"
                },
                "seconds": {name: round(value, 3) for name, value in medians.items()},
                "same": sum(a == b for a, b in zip(said, by_processor, strict=True)),
                "pairs": args.pairs,
                "threads": args.threads,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
