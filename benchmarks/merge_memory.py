"""A merge of sharded checkpoints under a limit of memory, beside the same merge all in memory.

Random bf16 checkpoints of a Llama's shapes (`--gigabytes` each, in shards), a base and two experts.
`python -m engine merge` runs under `--memory`; its anonymous memory (RssAnon: what no file backs)
is read every 5 ms. Its result is then compared, element by element, with the same sums made on
whole tensors here. One line of JSON a method: the peak, the limit, how many elements differ.

    python -m benchmarks.merge_memory [--gigabytes 2] [--memory 1GB] [--methods a,b]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import LlamaConfig

from benchmarks.anonymous import command

WIDTH, INNER, ROWS = 2048, 5632, 32_000
EXPERTS = ("a", "b")
COEFFICIENTS = {"a": 0.7, "b": 0.4}


def shapes(gigabytes: float) -> dict[str, tuple[int, ...]]:
    """Weights of a Llama whose bf16 files have about that size."""
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (ROWS, WIDTH), "lm_head.weight": (ROWS, WIDTH),
        "model.norm.weight": (WIDTH,),
    }  # fmt: skip
    layer = 0
    while 2 * sum(map(math.prod, found.values())) < gigabytes * 1e9:
        stem = f"model.layers.{layer}."
        for name in "qkvo":
            found[f"{stem}self_attn.{name}_proj.weight"] = (WIDTH, WIDTH)
        found[f"{stem}mlp.up_proj.weight"] = (INNER, WIDTH)
        found[f"{stem}mlp.gate_proj.weight"] = (INNER, WIDTH)
        found[f"{stem}mlp.down_proj.weight"] = (WIDTH, INNER)
        for name in ("input", "post_attention"):
            found[f"{stem}{name}_layernorm.weight"] = (WIDTH,)
        layer += 1
    return found


def write_models(place: Path, gigabytes: float) -> None:
    """Base and experts, a shard for every eight tensors."""
    names = list(shapes(gigabytes).items())
    parts = [names[at : at + 8] for at in range(0, len(names), 8)]
    for number, model in enumerate(("base", *EXPERTS)):
        folder = place / model
        folder.mkdir()
        where: dict[str, str] = {}
        for count, part in enumerate(parts, 1):
            file = f"model-{count:05d}-of-{len(parts):05d}.safetensors"
            tensors = {}
            for seed, (name, shape) in enumerate(part, 1000 * count):
                random = torch.Generator().manual_seed(seed)
                weights = 0.02 * torch.randn(shape, generator=random)
                if model != "base":
                    random.manual_seed(100_000 * number + seed)
                    weights += 0.002 * torch.randn(shape, generator=random)
                tensors[name] = weights.bfloat16()
            save_file(tensors, folder / file, metadata={"format": "pt"})
            where |= dict.fromkeys(tensors, file)
        index = {"metadata": {"total_size": 0}, "weight_map": where}
        layers = sum(name.endswith("q_proj.weight") for name in where)
        LlamaConfig(
            vocab_size=ROWS, hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=layers,
            num_attention_heads=16, num_key_value_heads=16, dtype="bfloat16",
            architectures=["LlamaForCausalLM"],
        ).save_pretrained(folder)  # fmt: skip
        (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def merged(place: Path, method: str, memory: str) -> tuple[Path, int, float]:
    """Directory, peak of anonymous memory and seconds of the command."""
    config, out = place / f"{method}.yaml", place / f"out-{method}"
    config.write_text(
        json.dumps({"base": "base", "experts": {each: each for each in EXPERTS},
                    "method": method, "coefficients": COEFFICIENTS}), encoding="utf-8",
    )  # fmt: skip
    given = [sys.executable, "-m", "engine", "merge", str(config), str(out)]
    given += ["--memory", memory, "--workspace", str(place / "home"), "--device", "cpu"]
    start = time.perf_counter()
    _, most = command(given)
    return out, most, time.perf_counter() - start


def weights(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(str(file), framework="pt") as reader:
            for name in sorted(reader.keys()):
                yield name, reader.get_tensor(name)


def differing(place: Path, out: Path, method: str) -> int:
    """Elements that are not what the same method gives on whole tensors in this process."""
    from engine.family.compatibility import open_family
    from engine.merging.basis import Tensors
    from engine.merging.merged_model import merged_tensor
    from engine.method import find_method
    from engine.recipe import Recipe, resolve
    from engine.study import FamilySpec

    spec = FamilySpec(place / "base", {each: place / each for each in EXPERTS})
    family = open_family(spec, text=False)
    spec_of = find_method(method)
    recipe = resolve(Recipe(method, COEFFICIENTS), family.names)
    basis = spec_of.build(Tensors(family), **spec_of.structural(recipe.parameters))
    count = 0
    for name, found in weights(out):
        wanted = merged_tensor(basis, name, recipe.coefficients)
        count += int((wanted.view(torch.int16) != found.view(torch.int16)).sum())
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--memory", default="1GB")
    parser.add_argument("--methods", default="task_arithmetic,ties")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        write_models(place, args.gigabytes)
        for method in args.methods.split(","):
            out, most, seconds = merged(place, method, args.memory)
            line = {
                "method": method, "bytes": sum(each.stat().st_size for each in out.iterdir()),
                "memory": args.memory, "peak_mb": round(most / 1e6), "seconds": round(seconds, 1),
                "differing": differing(place, out, method),
            }  # fmt: skip
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
