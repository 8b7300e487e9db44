"""The same merge by mergekit 0.1.5 and by us: CPU-seconds, memory, and how soon there are logits.

Random bf16 checkpoints of a Llama's shapes (`--gigabytes` each, in shards), a base and two experts,
and one mergekit YAML a method. In turns, `--pairs` times, caches warm, one thread:

    command   `mergekit-yaml` and `python -m engine merge` on that YAML, CPU-seconds (user and
              system) less those of importing the same code; peak of memory that no file backs
    logits    other coefficients to the first logits of eight tokens: mergekit merges to disk, then
              transformers loads and runs; here the live module is written anew and runs

Tensors are compared element by element, in units in the last place of the dtype. One line of JSON a
method: medians, and ratios mergekit's to ours. mergekit needs an environment of its own:

    python -m venv ENV && ENV/bin/pip install mergekit==0.1.5 torch==2.13.0
    python -m benchmarks.vs_mergekit ENV/bin/python [--gigabytes 2] [--pairs 3] [--methods a,b]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from benchmarks.anonymous import command
from benchmarks.merge_memory import COEFFICIENTS, EXPERTS, write_models
from engine.compose import Composer
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve
from engine.study import FamilySpec

METHODS: dict[str, dict[str, float]] = {"task_arithmetic": {}, "ties": {"density": 0.2}}
IDS = torch.arange(5, 13)[None]
ALONE = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def yaml(place: Path, method: str) -> Path:
    models: list[dict[str, Any]] = [
        {"model": str(place / each), "parameters": {"weight": COEFFICIENTS[each]} | METHODS[method]}
        for each in EXPERTS
    ]
    file = place / f"{method}.yml"
    document = {"merge_method": method, "base_model": str(place / "base"), "models": models}
    file.write_text(json.dumps(document | {"dtype": "bfloat16"}), encoding="utf-8")
    return file


def differing(ours: Path, theirs: Path) -> dict[str, Any]:
    """Elements that differ, and by how many units in the last place at most."""
    count, most, total = 0, 0, 0
    found: dict[str, torch.Tensor] = {}
    for file in ours.glob("*.safetensors"):
        found |= load_file(file)
    for file in theirs.glob("*.safetensors"):
        for name, each in load_file(file).items():
            apart = (ordered(each) - ordered(found.pop(name))).abs()
            count, most = count + int((apart > 0).sum()), max(most, int(apart.max()))
            total += each.numel()
    return {"missing": len(found), "elements": total, "differ": count, "ulps": most}


def ordered(values: torch.Tensor) -> torch.Tensor:
    """int32, ordered as bf16 values are, one for each."""
    bits = values.bfloat16().contiguous().view(torch.int16).to(torch.int32)
    return torch.where(bits < 0, -(bits & 0x7FFF), bits)


def cpu(run: Any) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def logits_from(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model(IDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", help="of an environment with mergekit 0.1.5")
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--methods", default=",".join(METHODS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad(), tempfile.TemporaryDirectory() as made:
        place = Path(made)
        write_models(place, args.gigabytes)
        home = ["--workspace", str(place / "home"), "--device", "cpu"]
        theirs_idle = command([args.python, "-c", "import mergekit.scripts.run_yaml"], ALONE)[0]
        imported = "import engine.export.mergefile, engine.merging, engine.decoding"
        ours_idle = command([sys.executable, "-c", imported], ALONE)[0]
        spec = FamilySpec(place / "base", {each: place / each for each in EXPERTS})
        composer = Composer(open_family(spec, text=False), device="cpu", compute_dtype="bfloat16")
        for method in args.methods.split(","):
            file = yaml(place, method)
            turns: dict[str, list[float]] = {"theirs": [], "ours": [], "load": [], "move": []}
            peaks: dict[str, int] = {"theirs": 0, "ours": 0}
            equal: dict[str, Any] = {}
            recipe = resolve(Recipe(method, COEFFICIENTS), composer.family.names)
            composer.merged.write(composer.basis(recipe), dict(COEFFICIENTS), lambda: None)
            for turn in range(args.pairs + 1):
                out = {name: place / f"{method}-{name}" for name in peaks}
                commands = {
                    "theirs": [args.python, "-m", "mergekit.scripts.run_yaml", str(file)],
                    "ours": [sys.executable, "-m", "engine", "merge", str(file)],
                }
                for name, given in commands.items():
                    shutil.rmtree(out[name], ignore_errors=True)
                    more = [] if name == "theirs" else home
                    seconds, most = command([*given, str(out[name]), *more], ALONE)
                    idle = theirs_idle if name == "theirs" else ours_idle
                    if turn:  # the first one warms the caches
                        turns[name].append(seconds - idle)
                    peaks[name] = max(peaks[name], most)
                equal = equal or differing(out["ours"], out["theirs"])
                loaded = cpu(lambda folder=out["theirs"]: logits_from(folder))
                moved = dict(COEFFICIENTS) | {"a": 0.5 + 0.01 * turn}

                def move(moved: dict[str, float] = moved, recipe: Recipe = recipe) -> None:
                    basis = composer.basis(recipe)
                    composer.merged.write(basis, moved, lambda: None)
                    composer.merged.module(IDS)

                if turn:
                    turns["load"].append(loaded)
                    turns["move"].append(cpu(move))
            found = {name: statistics.median(each) for name, each in turns.items()}
            line = {
                "method": method, "gigabytes": args.gigabytes, "seconds":
                {name: round(value, 2) for name, value in found.items()},
                "command": round(found["theirs"] / found["ours"], 2),
                "logits": round((found["theirs"] + found["load"]) / found["move"], 1),
                "memory_mb": {name: round(each / 1e6) for name, each in peaks.items()},
                "memory": round(peaks["ours"] / peaks["theirs"], 2), "equal": equal,
            }  # fmt: skip
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
