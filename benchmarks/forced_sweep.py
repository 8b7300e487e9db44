"""Many weight vectors scored from one pass of the models, against that pass and an earlier build.

    vectors   likelihoods of 1000 vectors of three models ÷ one pass of these models alone; and how
              far they are from combining and normalising each vector by itself (30 of them), in
              float32 as that does, and in float64
    earlier   `evaluate` of 200 recipes of proxy_tuning on the demo's fluency, processor seconds of
              an earlier build ÷ ours, in turns; start-up, measured with one recipe, is left out and
              given beside it: ours is little more than its noise

One line of JSON.

    git worktree add ../earlier 61318b7
    python -m benchmarks.forced_sweep [../earlier] [--vectors 1000] [--rounds 9] [--texts 16]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from engine.decoding.batch import Batch
from engine.decoding.forced_sweep import OneByOne, reader_of
from engine.decoding.fusion import Mixture
from engine.decoding.inputs import CANONICAL, no_tick
from engine.decoding.teacher_forced import swept_log_probs

NAMES = ("target", "expert", "base")
COMPARED = 30


@dataclass(frozen=True)
class Plain:
    """Models and how they are mixed."""

    modules: tuple[PreTrainedModel, ...]
    mixture: Mixture | None
    vocabulary: int | None = None
    rows: int | None = None


def model(seed: int, hidden: int, layers: int, tokens: int) -> PreTrainedModel:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokens, hidden_size=hidden, intermediate_size=hidden * 3,
        num_hidden_layers=layers, num_attention_heads=8, num_key_value_heads=4,
        max_position_embeddings=512, initializer_range=0.05, tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def texts(rows: int, tokens: int) -> tuple[list[list[int]], list[list[int]]]:
    """Prompts of 32 to 96 tokens and answers of 8 to 32."""
    source = torch.Generator().manual_seed(7)
    sizes = zip(
        torch.randint(32, 97, (rows,), generator=source).tolist(),
        torch.randint(8, 33, (rows,), generator=source).tolist(),
        strict=True,
    )
    pairs = [torch.randint(3, tokens, (a + b,), generator=source).tolist() for a, b in sizes]
    cut = torch.randint(8, 33, (rows,), generator=source).tolist()
    return [ids[:-n] for ids, n in zip(pairs, cut, strict=True)], [
        ids[-n:] for ids, n in zip(pairs, cut, strict=True)
    ]


def means(found: list[Tensor]) -> Tensor:
    """Mean of −log p over each text's tokens, then over texts: float64 [vectors]."""
    return -torch.stack([each.double().mean(-1) for each in found]).mean(0)


class Exact(OneByOne):
    """In float64 from the logits on."""

    @torch.inference_mode()
    def read(self, parts: list[Tensor], ids: Tensor, wanted: Tensor, last: bool = False) -> Tensor:
        return super().read([each.double() for each in parts], ids, wanted, last)


def vectors(args: argparse.Namespace) -> dict[str, Any]:
    modules = (
        model(0, args.hidden, 12, args.tokens),
        model(1, args.hidden // 2, 6, args.tokens),
        model(2, args.hidden // 2, 6, args.tokens),
    )
    source = torch.Generator().manual_seed(3)
    strengths = (0.05 + 1.95 * torch.rand(args.vectors, generator=source)).tolist()
    mixtures = [Mixture(NAMES, (1.0, each, -each)) for each in strengths]
    fused = Plain(modules, mixtures[0])
    prompts, answers = texts(args.texts, args.tokens)

    def sweep() -> list[Tensor]:
        return swept_log_probs(fused, reader_of(fused, mixtures, no_tick), prompts, answers)

    def forward() -> None:
        """The models alone: what every evaluation of one vector runs, its logits left unread."""
        fed = [[*a, *b[:-1]] for a, b in zip(prompts, answers, strict=True)]
        for chosen in CANONICAL.batches([len(ids) for ids in fed]):
            batch = Batch(fused, [fed[index] for index in chosen], CANONICAL, no_tick)
            for _ in batch.read_apart(max(len(answers[index]) for index in chosen)):
                pass

    ratios, passes = [], []
    found = sweep()
    for _ in range(args.rounds):
        start = time.perf_counter()
        forward()
        between = time.perf_counter()
        found = sweep()
        passes.append(between - start)
        ratios.append((time.perf_counter() - between) / passes[-1])
    ours, errors = means(found), {}
    chosen = range(0, args.vectors, max(1, args.vectors // COMPARED))
    for name, kind in (("plain", OneByOne), ("float64", Exact)):
        reader = kind(fused, [mixtures[place] for place in chosen])
        want = means(swept_log_probs(fused, reader, prompts, answers))
        errors[name] = float(((ours[list(chosen)] - want) / want).abs().max())
    return {
        "passes": round(median(ratios), 2),
        "pass_seconds": round(median(passes), 2),
        "parameters": [sum(p.numel() for p in each.parameters()) for each in modules],
        "scored_tokens": sum(map(len, answers)),
        "relative_error": errors,
    }


def processor_seconds(root: Path, study: Path, recipes: list[Path]) -> float:
    """Of `evaluate` by a build, in a workspace of its own; children included."""
    with tempfile.TemporaryDirectory() as home:
        command = [
            sys.executable,
            "-m",
            "engine",
            "evaluate",
            str(study),
            "--objectives",
            "fluency",
        ]
        command += ["--workspace", home, "--device", "cpu", "--json"]
        command += [word for each in recipes for word in ("--recipe", str(each))]
        before = os.times()
        threads = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
        subprocess.run(
            command, cwd=root, env={**os.environ, **threads}, check=True, capture_output=True
        )
        after = os.times()
    return (
        after.children_user + after.children_system
        - before.children_user - before.children_system
    )  # fmt: skip


def earlier(args: argparse.Namespace) -> dict[str, Any]:
    spent: dict[str, list[float]] = {"ours": [], "ours_start": [], "theirs": [], "theirs_start": []}
    with tempfile.TemporaryDirectory() as place:
        demo = Path(place) / "demo"
        write = [sys.executable, "-m", "engine", "demo", str(demo)]
        subprocess.run(write, check=True, capture_output=True)
        recipes = []
        for number in range(args.recipes):
            file = Path(place) / f"{number}.yaml"
            share = (number + 1) / args.recipes
            file.write_text(
                "method: proxy_tuning\ncoefficients: "
                f"{{helpful: {share:.4f}, harmless: {1 - share:.4f}, honest: {2 * share:.4f}}}\n",
                "utf-8",
            )
            recipes.append(file)
        for _ in range(args.earlier_rounds):
            for name, root in (("ours", Path.cwd()), ("theirs", args.earlier.resolve())):
                one = processor_seconds(root, demo / "study.yaml", recipes[:1])
                every = processor_seconds(root, demo / "study.yaml", recipes)
                spent[name].append(every - one)
                spent[f"{name}_start"].append(one)
    found = {name: round(median(values), 2) for name, values in spent.items()}
    return {
        "recipes": args.recipes,
        "ratio": round(found["theirs"] / found["ours"], 1) if found["ours"] > 0 else None,
        **found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("earlier", nargs="?", type=Path)
    parser.add_argument("--vectors", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--texts", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--recipes", type=int, default=200)
    parser.add_argument("--earlier-rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    said: dict[str, Any] = {"benchmark": "forced_sweep", "vectors": args.vectors, **vectors(args)}
    if args.earlier is not None:
        said["earlier"] = earlier(args)
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
