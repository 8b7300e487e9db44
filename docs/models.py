"""Writes docs/models.md: what works with which class of transformers, measured.

    python -m docs.models                  every class; exit 1 where one fails, nothing written
    python -m docs.models llama gemma2     these alone, printed, nothing written

Each class takes a few seconds on a core. What was measured is kept in `--cache` under the sources
and versions that it was measured with, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from tests.differential.classes import Class, every_class
from tests.differential.paths import Outcome, outcomes

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "models.md"
LIBRARIES = ("transformers", "torch", "peft", "tokenizers")

Found = Mapping[str, Outcome]


def sources() -> str:
    """sha256 over everything that an outcome depends on."""
    whole = hashlib.sha256(json.dumps({each: version(each) for each in LIBRARIES}).encode())
    for top in ("engine", "cache", "tests/differential"):
        for file in sorted((ROOT / top).rglob("*.py")):
            whole.update(file.read_bytes())
    return whole.hexdigest()


def measured(row: Class, cache: Path, key: str) -> Found:
    """The outcomes of a class, from the cache where they are there."""
    kept = cache / f"{row.name.replace(' ', '_')}.json"
    if kept.exists():
        document = json.loads(kept.read_text(encoding="utf-8"))
        if document["key"] == key:
            return {path: Outcome(*each) for path, each in document["outcomes"].items()}
    with tempfile.TemporaryDirectory(prefix="models-") as place:
        found = outcomes(row, Path(place))
    cache.mkdir(parents=True, exist_ok=True)
    document = {"key": key, "outcomes": {k: (v.kind, v.why) for k, v in found.items()}}
    kept.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.models", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="CLASS", help="print these alone")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "models")
    args = parser.parse_args(argv)
    _quiet()
    rows, key = every_class(), sources()
    unknown = [name for name in args.names if name not in rows]
    if unknown:
        print(f"no such class: {', '.join(unknown)}", file=sys.stderr)
        return 2
    found: dict[str, Found] = {}
    for name in args.names or rows:
        start = time.perf_counter()
        found[name] = measured(rows[name], args.cache, key)
        kinds = sorted({each.kind for each in found[name].values()})
        print(f"{name}: {', '.join(kinds)} ({time.perf_counter() - start:.1f} s)", flush=True)
        for path, each in found[name].items():
            if not each.fine:
                print(f"    {path}: {each.kind}: {each.why}", flush=True)
    failed = [name for name, each in found.items() if not all(o.fine for o in each.values())]
    if failed:
        print(f"{len(failed)} of {len(found)} classes fail: {', '.join(failed)}", file=sys.stderr)
        return 1
    if not args.names:
        from docs.models_page import page

        TABLE.write_text(page(rows, found), encoding="utf-8")
        print(f"{TABLE.relative_to(ROOT)}: {len(found)} classes")
    return 0


def _quiet() -> None:
    """One thread, and none of the libraries' own progress and advice."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    warnings.simplefilter("ignore")
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


if __name__ == "__main__":
    sys.exit(main())
