"""The decode loop against transformers' `generate`: the same greedy texts, tokens a second of each.

Tiny Llama models of the demo's size with random weights, so nothing needs downloading. One line of
JSON: a ratio above 1 is ours being faster; `same` counts rows whose token ids are equal.

    python -m benchmarks.decode_step [--rows 64] [--prompts 256] [--new 48] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from engine.decoding.fusion import Mixture
from engine.decoding.inputs import Bucket
from engine.decoding.loop import generate
from engine.family.products import quicken

END = 2


@dataclass(frozen=True)
class Plain:
    """One model as it is."""

    modules: tuple[PreTrainedModel, ...]
    mixture: Mixture | None = None
    vocabulary: int | None = None
    rows: int | None = None


def tiny_model(seed: int) -> PreTrainedModel:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=512, hidden_size=96, intermediate_size=256, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        initializer_range=0.3, pad_token_id=0, bos_token_id=1, eos_token_id=END,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def prompts_of(count: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(7)
    lengths = torch.randint(8, 41, (count,), generator=generator).tolist()
    return [torch.randint(3, 512, (n,), generator=generator).tolist() for n in lengths]


def by_transformers(
    model: PreTrainedModel, prompts: list[list[int]], new: int, rows: int
) -> list[list[int]]:
    """Batches sorted by length as ours are, padded to the longest of each."""
    results: dict[int, list[int]] = {}
    for indices in Bucket(rows).batches([len(ids) for ids in prompts]):
        width = max(len(prompts[index]) for index in indices)
        pads = [width - len(prompts[index]) for index in indices]
        ids = torch.tensor(
            [[0] * pad + prompts[index] for pad, index in zip(pads, indices, strict=True)]
        )
        mask = torch.tensor([[0] * pad + [1] * (width - pad) for pad in pads])
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=new, do_sample=False
            )
        for index, row in zip(indices, out[:, width:].tolist(), strict=True):
            results[index] = row[: row.index(END)] if END in row else row
    return [results[index] for index in range(len(prompts))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--new", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = tiny_model(0)
    own = tiny_model(0)  # multiplies as a loaded one does; transformers' as it does
    others = tiny_model(1), tiny_model(2)
    for each in (own, *others):
        quicken(each)
    fused = Plain((own, *others), Mixture(("t", "e", "b"), (1.0, 0.7, -0.7)))
    prompts = prompts_of(args.prompts)

    def ours(what: Plain) -> list[list[int]]:
        found = generate(
            what,
            prompts,
            max_new_tokens=args.new,
            end_ids=frozenset({END}),
            bucket=Bucket(args.rows),
        )
        return [list(each.token_ids) for each in found]

    ways = {
        "ours": lambda: ours(Plain((own,))),
        "transformers": lambda: by_transformers(model, prompts, args.new, args.rows),
        "fused_three": lambda: ours(fused),
    }
    best = dict.fromkeys(ways, float("inf"))
    texts: dict[str, list[list[int]]] = {}
    for _ in range(args.rounds):  # taking turns, so that a busy machine slows all alike
        for name, run in ways.items():
            start = time.perf_counter()
            texts[name] = run()
            best[name] = min(best[name], time.perf_counter() - start)
    speed = {name: sum(map(len, texts[name])) / best[name] for name in ways}
    pairs = zip(texts["ours"], texts["transformers"], strict=True)
    print(
        json.dumps(
            {
                "benchmark": "decode_step",
                "ratio": round(speed["ours"] / speed["transformers"], 2),
                "tokens_per_second": {name: round(value) for name, value in speed.items()},
                "same": sum(a == b for a, b in pairs),
                "prompts": len(prompts),
                "rows": args.rows,
                "threads": args.threads,
            }
        )
    )


if __name__ == "__main__":
    main()
