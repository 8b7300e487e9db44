"""A peak of memory beside what was reckoned, in a process of its own: `reckoned.py FOLDER CASE`.

A tiny model of the same kind goes first: what is loaded and compiled once is not the model's. A
line of JSON: the most anonymous memory above the start, what was reckoned, and what is kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

import engine  # noqa: F401  (registers the methods)
from benchmarks.anonymous import peak
from engine.compose import Composer
from engine.family.compatibility import Family, open_family
from engine.family.memory import PREFIX_BYTES, memory_needed
from engine.merging.bases import Bases
from engine.merging.basis import Tensors
from engine.merging.shelf import give_back
from engine.recipe import Recipe, resolve
from engine.study import FamilySpec
from tests.families import build_tokenizer, llama_config, llama_weights, write_model

SHAPES = {
    "tiny": ({"hidden": 64, "layers": 1, "heads": 2, "kv": 2, "mlp": 128}, 304),
    "big": ({"hidden": 512, "layers": 4, "heads": 4, "kv": 4, "mlp": 1536}, 6000),
}
EXPERTS = ("a", "b")

PREPARED: dict[str, Any] = {"pcb": {}, "dare of all": {"drop": 0.0}, "tsv": {}}
RUNNING = ("live", "logit_space")


def write(folder: Path) -> None:
    for size, (shape, rows) in SHAPES.items():
        base = llama_weights(shape, rows, seed=1)
        for number, name in enumerate(("base", *EXPERTS)):
            random = torch.Generator().manual_seed(number)
            weights = {
                key: each + 0.01 * number * torch.randn(each.shape, generator=random)
                for key, each in base.items()
            }
            write_model(folder / size / name, weights, llama_config(shape, rows))
            build_tokenizer(folder / size / name)


def opened(folder: Path) -> Family:
    spec = FamilySpec(folder / "base", {each: folder / each for each in EXPERTS})
    return open_family(spec, text=False)


def basis(family: Family, workspace: Path, case: str) -> tuple[int, int, int]:
    """(peak, reckoned, kept) of a basis."""
    bases = Bases(Tensors(family), workspace)
    recipe = resolve(Recipe(case.split()[0], {}, PREPARED[case]), family.names)
    made: list[Any] = []
    give_back()
    most = peak(lambda: made.append(bases.of(recipe)), 0.001)
    return most, memory_needed(family)["basis_bytes"], made[0].bytes


def live(family: Family, workspace: Path, case: str) -> tuple[int, int, int]:
    """The same of the live model of a merge, or of all models at once."""
    composer = Composer(family, device="cpu", workspace=workspace)
    several = case == "logit_space"
    given = {"a": 0.5, "b": 0.5}
    method = "proxy_tuning" if several else "task_arithmetic"
    recipe = resolve(Recipe(method, given), family.names)
    made: list[Any] = []

    def run() -> None:
        if several:
            made.extend(composer.module(each) for each in ("base", *EXPERTS))
        else:
            composer.merged.write(composer.basis(recipe), given, lambda: None)
            made.append(composer.merged)

    give_back()
    most = peak(run, 0.001)
    # no text is written here, and what is kept of texts has room of its own
    return most, memory_needed(family)[f"{case}_bytes"] - (PREFIX_BYTES if several else 0), 0


def main() -> None:
    torch.set_num_threads(1)
    folder, case = Path(sys.argv[1]), sys.argv[2]
    of = basis if case in PREPARED else live
    of(opened(folder / "tiny"), folder / case, case)
    most, reckoned, kept = of(opened(folder / "big"), folder / case, case)
    print(json.dumps({"peak": most, "reckoned": reckoned, "kept": kept}))


if __name__ == "__main__":
    main()
