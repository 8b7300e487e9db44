"""A tiny family, a study of six objectives over it, and a workspace already full of its points.

Run inside any checkout (`PYTHONPATH=CHECKOUT python benchmarks/full_workspace.py …`), so that the
keys under which the made-up rows stand, and the form in which they are written, are that build's
own. `benchmarks.earlier_store` calls it for two builds.

    fill FOLDER [--points 10000] [--examples 2] [--spread 0.05]    write FOLDER/study.yaml once, and
                        FOLDER/home, a workspace with a score of each objective a point
    open FOLDER         print the milliseconds of opening and closing FOLDER/home
    append FOLDER       print the milliseconds a row of appending 600 rows one by one

`--spread` is how far a point's objectives lie apart: at 0 all are one number and the front is one
point; at 1 they are independent and the front has thousands.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

OBJECTIVES = 6
LAYERS = 1
BATCH = 20_000


def small_tokenizer() -> Any:
    """Bytes and a few pieces of words, with <s> as 0 and </s> as 1."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["a small text that is read"], trainer)
    return tokenizer


def write_models(folder: Path) -> Path:
    """A study of six objectives over a base and two experts of one small layer; its file."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    fast = PreTrainedTokenizerFast(
        tokenizer_object=small_tokenizer(), bos_token="<s>", eos_token="</s>"
    )
    config = LlamaConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=LAYERS, num_attention_heads=2,
        num_key_value_heads=2, vocab_size=300, bos_token_id=0, eos_token_id=1,
        max_position_embeddings=128,
    )  # fmt: skip
    for seed, name in enumerate(("base", "a", "b")):
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder / name)
        fast.save_pretrained(folder / name)
    lines = ["study: full", "family:", "  base: base", "  experts: {a: a, b: b}", "objectives:"]
    for place in range(OBJECTIVES):
        rows = [
            json.dumps({"prompt": f"text {place} {row}", "target": f"is read {row}"})
            for row in range(3)
        ]
        (folder / f"rows{place}.jsonl").write_text("\n".join(rows))
        lines.append(
            f"  - {{name: o{place}, data: rows{place}.jsonl, scorer: nll, report_fraction: 0.01}}"
        )
    study = folder / "study.yaml"
    study.write_text("\n".join(lines) + "\n")
    return study


def rows_of(
    family: str, objectives: dict[str, str], points: int, examples: int, spread: float
) -> Iterator[dict[str, Any]]:
    """A score row of every objective of every point, in the order in which they came."""
    dice = np.random.default_rng(0)
    for point in range(points):
        means = 1.0 + (1.0 - spread) * dice.random() + spread * dice.random(len(objectives))
        recipe = {"method": "linear", "coefficients": {"a": point / 100}, "parameters": {}}
        for mean, (name, fingerprint) in zip(means.tolist(), objectives.items(), strict=True):
            yield {
                "kind": "score",
                "point": f"{point * 2654435761 % (1 << 48):012x}",
                "recipe": recipe,
                "family": family,
                "objective": name,
                "objective_fingerprint": fingerprint,
                "scorer": "nll",
                "split": "explore",
                "numerics": "cpu/float32/1",
                "n": examples,
                "mean": mean,
                "stderr": 0.1,
                "low": mean - 0.2,
                "high": mean + 0.2,
                "values": dice.random(examples).tolist(),
                "seconds": 1.0,
                "at": float(point),
            }


def fill(study: Path, workspace: Path, points: int, examples: int, spread: float) -> None:
    """Write the rows as this build writes rows, under the keys it gives the study."""
    import cache.journal
    import engine  # noqa: F401  (registers the methods)
    from engine.commands.session import Session
    from studio.remembered import fingerprints_of

    given = argparse.Namespace(
        study=study, workspace=workspace, objectives=None, device="cpu", compute_dtype=None
    )
    with Session(given) as session:
        family, prints = fingerprints_of(session.family, session.objectives, workspace)
    cache.journal.BATCH = BATCH  # an fsync a hundred rows would be most of the time
    journal = cache.journal.Journal(workspace / "journal")
    rows = rows_of(family, prints, points, examples, spread)
    while some := list(itertools.islice(rows, BATCH)):
        journal.append(some)
    journal.close()


def opened(home: Path) -> float:
    """Milliseconds of opening and closing a workspace."""
    from cache.store import Store

    start = time.perf_counter()
    Store.open(home).close()
    return 1000 * (time.perf_counter() - start)


def appended(home: Path, count: int) -> float:
    """Milliseconds a row of appending rows one by one, and of one question after the last."""
    from cache.store import Store

    objectives = {f"o{place}": f"{place:064x}" for place in range(OBJECTIVES)}
    rows = list(rows_of("f" * 64, objectives, count // OBJECTIVES, 2, 1.0))
    with Store.open(home) as store:
        start = time.perf_counter()
        for row in rows:
            store.append([row])
        there = store.has(row["point"], row["objective_fingerprint"], "explore", row["numerics"])
        took = time.perf_counter() - start
    assert there
    return 1000 * took / len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("fill", "open", "append"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--home", type=Path, help="default FOLDER/home")
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--examples", type=int, default=2)
    parser.add_argument("--spread", type=float, default=0.05)
    given = parser.parse_args()
    study, home = given.folder / "study.yaml", given.home or given.folder / "home"
    if given.what == "open":
        print(opened(home))
    elif given.what == "append":
        print(appended(home, 600))
    else:
        if not study.exists():
            given.folder.mkdir(parents=True, exist_ok=True)
            study = write_models(given.folder)
        fill(study, home, given.points, given.examples, given.spread)


if __name__ == "__main__":
    main()
