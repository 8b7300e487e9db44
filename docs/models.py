"""Writes docs/models.md: what works with which class of transformers, measured.

    python -m docs.models                  every class; exit 1 where one fails, nothing written
    python -m docs.models llama gemma2     these alone, printed, nothing written

Each row takes a few seconds on a core; an adapter's row is called "adapter" and its kind. What was
measured is kept in `--cache` under the sources and versions that it was measured with, so an
interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from engine.unfinished import temporary_directory
from tests.differential import adapter_paths
from tests.differential.classes import every_class
from tests.differential.paths import Outcome, outcomes

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "models.md"
LIBRARIES = ("transformers", "torch", "peft", "tokenizers")

Found = Mapping[str, Outcome]


def sources() -> str:
    """sha256 over everything that an outcome depends on."""
    whole = hashlib.sha256(json.dumps({each: version(each) for each in LIBRARIES}).encode())
    files = [ROOT / "tests" / name for name in ("families.py", "adapters.py", "oracle.py")]
    for top in ("engine", "cache", "tests/differential"):
        files += sorted((ROOT / top).rglob("*.py"))
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()


def measured(name: str, run: Callable[[Path], Found], cache: Path, key: str) -> Found:
    """The outcomes of a row, from the cache where they are there."""
    kept = cache / f"{name.replace(' ', '_')}.json"
    if kept.exists():
        document = json.loads(kept.read_text(encoding="utf-8"))
        if document["key"] == key:
            return {path: Outcome(*each) for path, each in document["outcomes"].items()}
    with temporary_directory("models") as place:
        found = run(place)
    cache.mkdir(parents=True, exist_ok=True)
    document = {"key": key, "outcomes": {k: (v.kind, v.why) for k, v in found.items()}}
    kept.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return found


def runs(shared: Path) -> dict[str, Callable[[Path], Found]]:
    """Row -> what measures it in a directory: classes, then adapters.

    Args:
        shared: a directory for the base of all adapters.
    """
    found: dict[str, Callable[[Path], Found]] = {
        name: partial(outcomes, row) for name, row in every_class().items()
    }
    for kind in adapter_paths.rows():
        found[f"adapter {kind}"] = partial(adapter_paths.measure, kind, shared)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.models", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="ROW", help="print these alone")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "models")
    args = parser.parse_args(argv)
    _quiet()
    with temporary_directory("models") as shared:
        found = _measure_all(args.names, runs(shared), args.cache)
    if found is None:
        return 2
    failed = [name for name, each in found.items() if not all(o.fine for o in each.values())]
    if failed:
        print(f"{len(failed)} of {len(found)} rows fail: {', '.join(failed)}", file=sys.stderr)
        return 1
    if not args.names:
        from docs.models_page import page

        rows = every_class()
        classes = {name: each for name, each in found.items() if name in rows}
        adapters = {n.removeprefix("adapter "): e for n, e in found.items() if n not in rows}
        TABLE.write_text(page(rows, classes, adapters), encoding="utf-8")
        print(f"{TABLE.relative_to(ROOT)}: {len(classes)} classes, {len(adapters)} adapters")
    return 0


def _measure_all(
    names: Sequence[str], every: Mapping[str, Callable[[Path], Found]], cache: Path
) -> dict[str, Found] | None:
    """Outcomes by row, each printed as it comes; None where a name is not a row's."""
    unknown = [name for name in names if name not in every]
    if unknown:
        print(f"no such row: {', '.join(unknown)}", file=sys.stderr)
        return None
    key, found = sources(), {}
    for name in names or every:
        start = time.perf_counter()
        found[name] = measured(name, every[name], cache, key)
        kinds = sorted({each.kind for each in found[name].values()})
        print(f"{name}: {', '.join(kinds)} ({time.perf_counter() - start:.1f} s)", flush=True)
        for path, each in found[name].items():
            if not each.fine:
                print(f"    {path}: {each.kind}: {each.why}", flush=True)
    return found


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
