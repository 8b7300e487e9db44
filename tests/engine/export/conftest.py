"""A small family of real files: a full expert, one with other rows, two adapters, a target."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.compose import Composer
from engine.family.compatibility import open_family
from engine.study import FamilySpec
from tests import families


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories base, helpful (both in two shards), padded, target, terse, formal."""
    root = tmp_path_factory.mktemp("family")
    shape, rows = families.SMALL, families.BASE_ROWS
    zero = families.llama_weights(shape, rows, seed=1)
    families.write_model(root / "base", zero, families.llama_config(shape, rows), shards=2)
    for seed, (name, size) in enumerate((("helpful", rows), ("padded", families.MORE_ROWS)), 2):
        tuned = {key: 0.4 * each for key, each in families.llama_weights(shape, size, seed).items()}
        for key, each in zero.items():
            tuned[key][: len(each)] += each
        shards = 2 if name == "helpful" else 1
        families.write_model(root / name, tuned, families.llama_config(shape, size), shards=shards)
    large = families.llama_weights(families.LARGE, families.TARGET_ROWS, 9, tied=False)
    config = families.llama_config(families.LARGE, families.TARGET_ROWS, tied=False)
    families.write_model(root / "target", large, config)
    for name in ("base", "helpful", "padded", "target"):
        families.build_tokenizer(root / name)
    base = root / "base"
    families.write_adapter(root / "terse", base, rank=4, alpha=8, rslora=False, seed=7)
    families.write_adapter(root / "formal", base, rank=2, alpha=2, rslora=True, seed=8)
    return root


def spec(root: Path, *experts: str, target: bool = False) -> FamilySpec:
    return FamilySpec(
        root / "base", {name: root / name for name in experts}, root / "target" if target else None
    )


@pytest.fixture(scope="session")
def composer(root: Path) -> Composer:
    """On base, helpful, terse, formal and the target; on the CPU."""
    family = open_family(spec(root, "helpful", "terse", "formal", target=True))
    return Composer(family, device="cpu")
