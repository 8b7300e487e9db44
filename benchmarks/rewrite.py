"""How long a slider move takes in weight space: ours beside the plain way and beside memory itself.

    ours    θ(c) from the mapped checkpoints into the live parameters, rounded once
    plain   state dicts in memory: base + Σ c (expert − base), then load_state_dict
    limit   reading base and experts once and writing the result once

One JSON line: medians in ms, and the ratios ours ÷ plain and ours ÷ limit (below 1 is faster).

    python -m benchmarks.rewrite [--method pcb] [--parameters N] [--dtype float32]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import engine  # noqa: F401  (registers the methods)
from engine.family.compatibility import open_family
from engine.merging.basis import Elementwise, Tensors
from engine.merging.merged_model import write_merged
from engine.recipe import METHODS
from engine.study import FamilySpec

EXPERTS = ("a", "b", "c")
COEFFICIENTS = {"a": 0.4, "b": 0.7, "c": -0.2}


def write_family(folder: Path, parameters: int, dtype: torch.dtype) -> Tensors:
    """Random models of `parameters` weights in layers of 4 M, as raw state dicts."""
    generator = torch.Generator().manual_seed(0)
    layers = max(1, parameters // (2048 * 2048))
    base = {f"w{i}": torch.randn(2048, 2048, generator=generator).to(dtype) for i in range(layers)}
    save_file(base, folder / "base.safetensors")
    for name in EXPERTS:
        near = {
            key: (value + 0.01 * torch.randn(value.shape, generator=generator)).to(dtype)
            for key, value in base.items()
        }
        save_file(near, folder / f"{name}.safetensors")
    spec = FamilySpec(
        folder / "base.safetensors", {name: folder / f"{name}.safetensors" for name in EXPERTS}
    )
    return Tensors(open_family(spec, text=False))


def median_ms(run: Callable[[], object], repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=int, default=50_000_000)
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--method", default="task_arithmetic", choices=("task_arithmetic", "pcb"))
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    dtype = getattr(torch, options.dtype)
    with tempfile.TemporaryDirectory() as place:
        tensors = write_family(Path(place), options.parameters, dtype)
        start = time.perf_counter()
        basis = METHODS[options.method].build(tensors)
        if isinstance(basis, Elementwise):
            basis = basis.materialise()
        built = time.perf_counter() - start
        live = {name: torch.empty(tensors.shape(name)) for name in tensors.names}

        def ours() -> None:
            for name in tensors.names:
                write_merged(basis, name, COEFFICIENTS, live[name])

        states = {
            name: load_file(Path(place) / f"{name}.safetensors") for name in ("base", *EXPERTS)
        }
        module = torch.nn.ParameterDict(
            {name: torch.nn.Parameter(value.clone(), False) for name, value in live.items()}
        )

        def plain() -> None:
            merged = {}
            for name, base in states["base"].items():
                start = base.float()
                merged[name] = start.clone()
                for expert, weight in COEFFICIENTS.items():
                    merged[name] += weight * (states[expert][name].float() - start)
            module.load_state_dict({name: each.to(dtype) for name, each in merged.items()})

        def limit() -> None:
            for name in tensors.names:
                for each in ("base", *EXPERTS):
                    live[name].copy_(states[each][name])

        times = {
            "ours_ms": median_ms(ours, options.repeats),
            "plain_ms": median_ms(plain, options.repeats),
            "limit_ms": median_ms(limit, options.repeats),
        }
    result = {
        "benchmark": "rewrite",
        "method": options.method,
        "parameters": options.parameters,
        "dtype": options.dtype,
        "threads": torch.get_num_threads(),
        "basis_s": round(built, 3),
        **{name: round(value, 1) for name, value in times.items()},
        "ours_to_plain": round(times["ours_ms"] / times["plain_ms"], 3),
        "ours_to_limit": round(times["ours_ms"] / times["limit_ms"], 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
