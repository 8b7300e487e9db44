"""What a basis costs, computed once for a method's parameters: ours beside the plain way.

    tsv, rtsv      beside torch.linalg.svd as the published code calls it: of every expert's matrix,
                   and of the left and of the right vectors of all of them
    other methods  beside torch.sort of every expert's |τ| over the whole model

One JSON line: medians in CPU-seconds, their ratio (below 1 is cheaper), the bytes that are kept,
and the peak of anonymous memory above the start ÷ the bytes of the checkpoints.

    python -m benchmarks.basis [--method tsv] [--parameters N] [--threads 1] [--pairs 9]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import save_file

import engine  # noqa: F401  (registers the methods)
from benchmarks.anonymous import peak
from engine.family.compatibility import open_family
from engine.merging.basis import Computed, Tensors
from engine.recipe import METHODS
from engine.study import FamilySpec

EXPERTS = ("a", "b", "c")
WIDTH = 768
ROWS = 32_000  # of the vocabulary, in a model of 100 M


def shapes(parameters: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """An embedding of a quarter of the weights and layers of attention and gated MLP."""
    yield "embed", (max(WIDTH, ROWS * parameters // 100_000_000), WIDTH)
    for layer in range(max(1, int(0.75 * parameters) // (13 * WIDTH * WIDTH))):
        yield f"{layer}.norm", (WIDTH,)
        for name in ("q", "k", "v", "o"):
            yield f"{layer}.{name}", (WIDTH, WIDTH)
        for name in ("gate", "up"):
            yield f"{layer}.{name}", (3 * WIDTH, WIDTH)
        yield f"{layer}.down", (WIDTH, 3 * WIDTH)


def write_family(folder: Path, parameters: int) -> None:
    """A random base in float32 and experts near it, as raw state dicts."""
    generator = torch.Generator().manual_seed(0)
    base = {name: torch.randn(shape, generator=generator) for name, shape in shapes(parameters)}
    save_file(base, folder / "base.safetensors")
    for name in EXPERTS:
        near = {
            key: value + 0.01 * torch.randn(value.shape, generator=generator)
            for key, value in base.items()
        }
        save_file(near, folder / f"{name}.safetensors")


def opened(folder: Path) -> Tensors:
    spec = FamilySpec(
        folder / "base.safetensors", {name: folder / f"{name}.safetensors" for name in EXPERTS}
    )
    return Tensors(open_family(spec, text=False))


def by_svd(tensors: Tensors) -> None:
    """The decompositions of the published code, of matrices that are there already."""
    for name in tensors.names:
        if len(tensors.shape(name)) != 2:
            continue
        vectors = [tensors.read(each, name) - tensors.read("base", name) for each in EXPERTS]
        kept = min(tensors.shape(name)) // len(EXPERTS)
        parts = [torch.linalg.svd(each, full_matrices=False) for each in vectors]
        left = torch.cat([u[:, :kept] for u, _, _ in parts], 1)
        right = torch.cat([v[:kept] for _, _, v in parts])
        for side in (left, right):
            torch.linalg.svd(side, full_matrices=False)


def by_sort(tensors: Tensors) -> None:
    """A sort of each expert's |τ|."""
    for expert in EXPERTS:
        parts = (tensors.read(expert, n) - tensors.read("base", n) for n in tensors.names)
        torch.sort(torch.cat([part.reshape(-1) for part in parts]).abs())


def cpu_seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="tsv")
    parser.add_argument("--parameters", type=int, default=100_000_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    method = METHODS[options.method]
    plain = by_svd if method.matrices else by_sort
    with tempfile.TemporaryDirectory() as place:
        # by another process: memory that this one has freed would hide what a basis takes
        writing = get_context("spawn").Process(
            target=write_family, args=(Path(place), options.parameters)
        )
        writing.start()
        writing.join()
        tensors = opened(Path(place))
        stored = sum(each.stat().st_size for each in Path(place).iterdir())

        def ours() -> int:
            basis = method.build(tensors)
            kept = basis.materialise() if isinstance(basis, Computed) else basis
            return getattr(kept, "bytes", 0)

        most, kept = peak(ours), ours()
        pairs = [
            (cpu_seconds(ours), cpu_seconds(lambda: plain(tensors))) for _ in range(options.pairs)
        ]
    mine, theirs = (statistics.median(each) for each in zip(*pairs, strict=True))
    found = {
        "method": options.method,
        "weights": tensors.size,
        "threads": options.threads,
        "pairs": options.pairs,
        "ours_cpu_s": round(mine, 3),
        f"{plain.__name__}_cpu_s": round(theirs, 3),
        "ratio": round(mine / theirs, 3),
        "kept_bytes": kept,
        "working_set_ratio": round(most / stored, 3),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
