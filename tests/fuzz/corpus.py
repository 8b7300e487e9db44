"""Sound files of every kind that the product reads, small: what the fuzzer changes one at a time.

A study of a base, a full expert and an adapter; a study for each format of data; recipe, merge
files and a table; a workspace that holds a sweep.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from cache.blobs import Blobs
from cache.compaction import compact
from cache.store import Store
from engine.family.compatibility import open_family
from engine.recipe import Recipe, point_id
from engine.scoring.objectives import prepare
from engine.study import load_study
from studio.remembered import fingerprints_of
from tests import families
from tests.engine.jobs.small import build_small_study

ROWS = [
    {"prompt": "the quick", "target": "brown", "split": "a"},
    {"prompt": "a kind answer\x07", "target": "turns", "split": "b"},
    {"prompt": "three red é", "target": "stones", "split": "a"},
]
CHOICES = [
    {"question": "the sky is", "choices": {"text": ["blue", "old"], "label": ["A", "B"]},
     "answerKey": "A"},
    {"question": "the door is", "choices": {"text": ["green", "deep"], "label": ["A", "B"]},
     "answerKey": "B"},
]  # fmt: skip
CHATS = [
    {"messages": [{"role": "user", "content": "ça va?"}, {"role": "assistant", "content": "oui"}]},
    {"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "the sky"},
                  {"role": "assistant", "content": "is blue"}]},
]  # fmt: skip

DATA: Mapping[str, Mapping[str, Any]] = {
    "rows.jsonl": {"scorer": "exact_match"},
    "table.csv": {"scorer": "contains", "rows": {"split": "a"}},
    "table.tsv": {"scorer": "nll", "columns": {"prompt": "prompt", "target": "target"}},
    "list.json": {"scorer": "regex", "pattern": "([a-m]+)"},
    "rows.jsonl.gz": {"scorer": "refusal", "limit": 2},
    "rows.parquet": {"scorer": "exact_match"},
    "choices.jsonl": {"scorer": "choice"},
    "chats.jsonl": {"scorer": "nll", "chat": True},
}
"""File -> the rest of its objective."""


@dataclass(frozen=True)
class Corpus:
    """The files, and what each holds when it is sound.

    Attributes:
        sound: path relative to the root -> its bytes.
    """

    root: Path
    sound: Mapping[str, bytes]

    def __getitem__(self, name: str) -> Path:
        return self.root / name

    def under(self, *prefixes: str) -> list[str]:
        return sorted(name for name in self.sound if name.startswith(prefixes))


def build_corpus(root: Path) -> Corpus:
    """Write it; the models have one layer's worth of weights each."""
    build_small_study(root, adapter=True)
    shards = families.llama_weights(
        {"hidden": 32, "layers": 1, "heads": 2, "kv": 1, "mlp": 48}, families.BASE_ROWS, seed=4
    )
    config = families.llama_config(
        {"hidden": 32, "layers": 1, "heads": 2, "kv": 1, "mlp": 48}, families.BASE_ROWS
    )
    families.write_model(root / "sharded", shards, config, shards=2)
    families.build_tokenizer(root / "sharded")
    shutil.copytree(root / "sharded", root / "twin")
    (root / "twin/chat_template.jinja").write_text(families.TEMPLATE)
    _write_data(root)
    study = {"family": {"base": "sharded", "experts": {"x": "twin"}, "tokenizer": "x"}}
    for name, objective in DATA.items():
        document = {**study, "objectives": [{"name": "o", "data": name, **objective}]}
        (root / f"on-{name}.yaml").write_text(yaml.safe_dump({"study": "s", **document}))
    (root / "recipe.yaml").write_text(
        "method: task_arithmetic\ncoefficients: {helpful: 0.5, terse: 1}\n"
        "parameters: {strength: 1}\n"
    )
    (root / "single.yaml").write_text("method: single\nparameters: {model: x}\n")
    (root / "merge.yaml").write_text(
        "method: ties\ncoefficients: {x: 0.5}\nparameters: {density: 0.3}\n"
        "base: sharded\nexperts: {x: twin}\n"
    )
    (root / "mergekit.yaml").write_text(
        "merge_method: task_arithmetic\nbase_model: sharded\nmodels:\n"
        "  - {model: twin, parameters: {weight: 0.4}}\n"
        "parameters: {normalize: false}\ndtype: bfloat16\n"
    )
    (root / "points.csv").write_text("id,a,b\nx,1,2\ny,2,1\nz,,0.5\n")
    _write_workspace(root)
    files = {
        str(each.relative_to(root)): each.read_bytes()
        for each in root.rglob("*")
        if each.is_file() and each.name not in ("index.lock", "README.md")
    }
    return Corpus(root, files)


def _write_data(root: Path) -> None:
    families.write_lines(root / "rows.jsonl", ROWS)
    families.write_lines(root / "choices.jsonl", CHOICES)
    families.write_lines(root / "chats.jsonl", CHATS)
    for name, mark in (("table.csv", ","), ("table.tsv", "\t")):
        lines = [mark.join(ROWS[0]), *(mark.join(each.values()) for each in ROWS)]
        (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "list.json").write_text(json.dumps(ROWS), encoding="utf-8")
    packed = gzip.compress((root / "rows.jsonl").read_bytes(), mtime=0)
    (root / "rows.jsonl.gz").write_bytes(packed)
    pq.write_table(pa.Table.from_pylist(ROWS), root / "rows.parquet")


def _write_workspace(root: Path) -> None:
    """A sweep of six points in two journals, one of them packed into a segment; blobs; and what is
    remembered of the models."""
    for each in root.glob("*/*.safetensors"):
        os.utime(each, (1, 1))  # settled, so worth remembering
    study, place = load_study(root / "study.yaml"), root / "workspace"
    family = open_family(study.family)
    objectives = prepare(study, chat_template=True)
    with Store.open(place) as store:
        family_print, prints = fingerprints_of(family, objectives, place)
    for start in (0, 3):
        rows: list[dict[str, Any]] = []
        for k in range(start, start + 3):
            coefficients = {"helpful": k / 4, "terse": 0.0}
            recipe = Recipe("task_arithmetic", coefficients, {"strength": 1.0, "groups": 1})
            rows += [
                {
                    "kind": "score", "point": point_id(recipe, family_print),
                    "objective": name, "scorer": "contains", "recipe": recipe.as_dict(),
                    "family": family_print, "objective_fingerprint": prints[name],
                    "split": "explore", "numerics": "cpu/float32/1", "n": 3, "mean": k / 4,
                    "stderr": 0.1, "low": 0.0, "high": 1.0, "values": [0.0, k / 4, 1.0],
                }
                for name in prints
            ]  # fmt: skip
        with Store.open(place) as store:
            store.append(rows)
        if not start:
            compact(place / "journal", place / "segments", least=1)
    with Blobs(place) as blobs:
        blobs.put_text("text", "a kind answer turns away anger " * 2000)
        blobs.put_number("number", 0.5)
