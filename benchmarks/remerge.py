"""How long a slider move takes, this build beside an earlier one checked out somewhere else.

    move     task arithmetic of three experts, from the mapped checkpoints into a live float32 model
    copy     one float32 tensor of the model's size copied to another: what memory allows
    bytes    what the method's own form reads and writes: base, experts, live model

Each build keeps a process of its own with the same random models, and they take turns. One JSON
line: medians over the pairs of CPU-seconds and wall seconds of a move, earlier ÷ this build (above
1 this build is faster), `of_copy` = (bytes ÷ copy bandwidth) ÷ time of a move, the peak of
anonymous memory that the first move adds, and whether both builds wrote the same bits.

    git worktree add /tmp/earlier COMMIT
    python -m benchmarks.remerge /tmp/earlier [--parameters N] [--dtype float32|bfloat16]
        [--threads 1] [--pairs 9]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parents[1]
EXPERTS = ("a", "b", "c")
MODELS = ("base", *EXPERTS)
COEFFICIENTS = ((0.4, 0.7, -0.2), (0.45, 0.65, -0.25))
WIDTH = 1024


def shapes(parameters: int) -> dict[str, tuple[int, ...]]:
    """An embedding of about a quarter of the weights, and layers of attention and MLP."""
    found: dict[str, tuple[int, ...]] = {"embed": (max(1, parameters // 4 // WIDTH), WIDTH)}
    for layer in range(max(1, parameters * 3 // 4 // (16 * WIDTH * WIDTH))):
        found[f"norm{layer}"] = (WIDTH,)
        found |= {f"{each}{layer}": (WIDTH, WIDTH) for each in "qkvo"}
        found |= {f"{each}{layer}": (4 * WIDTH, WIDTH) for each in ("gate", "up")}
        found[f"down{layer}"] = (WIDTH, 4 * WIDTH)
    return found


def write_family(folder: Path, parameters: int, dtype: torch.dtype) -> None:
    """A random base and experts near it, as raw state dicts."""
    for number, model in enumerate(MODELS):
        state = {}
        for index, (name, shape) in enumerate(shapes(parameters).items()):
            generator = torch.Generator().manual_seed(index)
            state[name] = torch.randn(shape, generator=generator)
            if number:
                generator.manual_seed(1_000_000 * number + index)
                state[name] += 0.01 * torch.randn(shape, generator=generator)
            state[name] = state[name].to(dtype)
        save_file(state, folder / f"{model}.safetensors")


class Mover:
    """The live model of whichever build is imported here."""

    def __init__(self, folder: Path) -> None:
        import engine  # noqa: F401  (registers the methods)
        from engine.family.compatibility import open_family
        from engine.merging import merged_model
        from engine.merging.basis import Tensors
        from engine.recipe import METHODS
        from engine.study import FamilySpec

        files = {each: folder / f"{each}.safetensors" for each in MODELS}
        spec = FamilySpec(files["base"], {each: files[each] for each in EXPERTS})
        self.tensors = Tensors(open_family(spec, text=False))
        self.basis = METHODS["task_arithmetic"].build(self.tensors)
        module: Any = torch.nn.Module()
        for name in self.tensors.names:
            values = torch.zeros(self.tensors.shape(name))
            module.register_parameter(name, torch.nn.Parameter(values, requires_grad=False))
        self.module = module
        self.model = merged_model.MergedModel(module, places(self.tensors.names))
        self.moves = 0

    def move(self) -> None:
        given = COEFFICIENTS[self.moves % len(COEFFICIENTS)]
        self.moves += 1
        self.model.write(self.basis, dict(zip(EXPERTS, given, strict=True)), lambda: None)

    def digest(self) -> str:
        whole = hashlib.sha256()
        for name in self.tensors.names:
            whole.update(getattr(self.module, name).detach().numpy())
        return whole.hexdigest()


def places(names: tuple[str, ...]) -> Any:
    """Every tensor's place in the module, as the build has it."""
    try:
        from engine.family.placement import Part, Placement
    except ImportError:  # builds that had one parameter for each tensor
        return {name: name for name in names}
    return Placement({name: Part(name) for name in names}, ())


def anonymous() -> int:
    """Bytes of this process's memory that no file backs."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(each for each in lines if each.startswith("RssAnon")).split()[1])


def peak(mover: Mover) -> int:
    """The most anonymous memory during a move, above that before it."""
    start, most, done = anonymous(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.001):
            most = max(most, anonymous() - start)

    watching = threading.Thread(target=watch)
    watching.start()
    mover.move()
    done.set()
    watching.join()
    return most


def copy(weights: int) -> dict[str, float]:
    """The same measures of a plain copy of float32, to memory that has been written before."""
    one, other = torch.ones(weights), torch.ones(weights)
    return timed(lambda: other.copy_(one))


def timed(run: Any) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def work(folder: Path, threads: int) -> None:
    """Answer one question a line on standard input, one JSON line each."""
    torch.set_num_threads(threads)
    mover = Mover(folder)
    weights = sum(mover.tensors.shape(name).numel() for name in mover.tensors.names)
    answers: dict[str, Any] = {
        "move": lambda: timed(mover.move),
        "peak": lambda: peak(mover),
        "digest": mover.digest,
        "copy": lambda: copy(weights),
        "weights": lambda: weights,
    }
    for line in sys.stdin:
        print(json.dumps(answers[line.strip()]()), flush=True)


def compare(earlier: Path, folder: Path, threads: int, pairs: int) -> dict[str, Any]:
    from benchmarks.asked import Worker  # not in a worker: its benchmarks are those of its checkout

    builds = {"ours": HERE, "earlier": earlier}
    workers = {name: Worker(__file__, each, folder, threads) for name, each in builds.items()}
    try:
        times: dict[str, list[dict[str, float]]] = {each: [] for each in workers}
        copies = []
        most = {name: worker.ask("peak") for name, worker in workers.items()}  # first: all is new
        for turn in range(pairs):
            order = list(workers) if turn % 2 == 0 else list(workers)[::-1]
            for name in order:
                times[name].append(workers[name].ask("move"))
            copies.append(workers["ours"].ask("copy"))
        weights = workers["ours"].ask("weights")
        same = workers["ours"].ask("digest") == workers["earlier"].ask("digest")
    finally:
        for worker in workers.values():
            worker.end()
    found: dict[str, Any] = {"weights": weights, "threads": threads, "pairs": pairs}
    for name in workers:
        for kind in ("cpu", "wall"):
            value = statistics.median(each[kind] for each in times[name])
            found[f"{name}_{kind}_s"] = round(value, 4)
    both = list(zip(times["earlier"], times["ours"], strict=True))
    for kind in ("cpu", "wall"):
        found[f"{kind}_ratio"] = round(statistics.median(a[kind] / b[kind] for a, b in both), 2)
    stored = sum((folder / f"{each}.safetensors").stat().st_size for each in MODELS)
    found["bytes"] = stored + 4 * weights
    for kind in ("cpu", "wall"):
        copied = statistics.median(each[kind] for each in copies)
        limit = found["bytes"] / (8 * weights) * copied
        found[f"of_copy_{kind}"] = round(limit / found[f"ours_{kind}_s"], 3)
    found["copy_gb_s"] = round(8 * weights / copied / 1e9, 2)
    found |= {f"{name}_peak_mb": round(value / 1e6, 1) for name, value in most.items()}
    return found | {"same_bits": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("earlier", type=Path, help="the earlier build's directory")
    parser.add_argument("--parameters", type=int, default=100_000_000)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.earlier, options.threads)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_family(folder, options.parameters, getattr(torch, options.dtype))
        found = compare(options.earlier.resolve(), folder, options.threads, options.pairs)
    print(json.dumps({"benchmark": "remerge", "dtype": options.dtype, **found}))


if __name__ == "__main__":
    main()
