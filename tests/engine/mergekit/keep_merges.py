"""Writes tests/golden/mergekit/merges.npz: what mergekit 0.1.5 makes of every case.

Run from the repository's root, in an environment that has mergekit 0.1.5:
PYTHONPATH=. python -m tests.engine.mergekit.keep_merges
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from mergekit.config import MergeConfiguration
from mergekit.io.tasks import LoaderCache
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.torch import load_file

from tests.engine.mergekit.cases import CASES
from tests.engine.mergekit.compared import by_token, numbers
from tests.engine.mergekit.tiny import build

GOLDEN = Path(__file__).parents[2] / "golden" / "mergekit" / "merges.npz"


def main() -> None:
    """Merge every case and keep a few numbers of each tensor."""
    kept: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for kind in {kind for kind, _ in CASES.values()}:
            build(root, kind)
        for name, (kind, document) in CASES.items():
            os.chdir(root / kind)
            LoaderCache.loaders.clear()  # models are named alike in every kind
            out = root / "out" / name
            run_merge(MergeConfiguration(**document), str(out), MergeOptions(quiet=True))
            state = load_file(out / "model.safetensors")
            if document.get("tokenizer_source") == "union":
                state = by_token(state, out)
            names, rows, _ = numbers(state)
            config = json.loads((out / "config.json").read_text())
            kept[f"{name}/names"] = np.array("\n".join(names))
            kept[f"{name}/numbers"] = rows
            kept[f"{name}/sizes"] = np.array([config["num_hidden_layers"], config["vocab_size"]])
    np.savez_compressed(GOLDEN, **kept)


if __name__ == "__main__":
    main()
