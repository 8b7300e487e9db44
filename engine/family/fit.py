"""Does a checkpoint fit its class? Asked at `check`, answered without reading a weight.

    names as plain classes have them (plain_names.json),
    and settings of a usual kind                       ──► yes, at once, without torch
    asked before in this workspace                     ──► read
    anything else ──► the class, without memory for its weights, from config.json (seconds); kept

What transformers makes of stored names only transformers can say, so anything else is asked of it,
in a process of its own where torch is not loaded. The same answer says which stored names are one
weight in two forms of a checkpoint, so that a base and an expert in different forms can be merged
where nothing but names differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cache.point import default_workspace
from engine.errors import Problem, bad
from engine.family.checkpoint import Checkpoint
from engine.family.classes import class_of
from engine.family.keeping import keep
from engine.recipe import FrozenDict

ANSWER = 1
"""Version of what is asked and how; raised when an answer may differ from one that was kept."""

PATIENCE = 300
"""Seconds until a class is taken not to answer; a large one takes ten."""

MEMORY = "fits"
"""Directory in the workspace where answers are kept, a file each."""

PLAIN = Path(__file__).with_name("plain_names.json")
_COUNTS = ("num_hidden_layers", "n_layer")
_ROPE = ("rope_scaling", "rope_parameters")
_ACTIVATION_KEYS = ("_act", "activation", "activation_function")
_ACTIVATIONS = (
    "gelu", "gelu_new", "gelu_fast", "gelu_python", "gelu_pytorch_tanh", "quick_gelu", "relu",
    "relu2", "silu", "swish", "tanh",
)  # fmt: skip
_CLASS = "Use a model class that transformers includes."


@dataclass(frozen=True)
class Fit:
    """What a class says of a checkpoint.

    Attributes:
        misfits: (what is wrong, what to do); empty if everything has its place.
        spots: stored name -> the part of the module that it fills.
        layers: names in the module of what peft can adapt: linear layers and embeddings.
        answered: false where asking broke off, by want of time or memory: another process asks
            again.
    """

    misfits: tuple[tuple[str, str], ...] = ()
    spots: Mapping[str, str] = field(default_factory=FrozenDict)
    layers: frozenset[str] = frozenset()
    answered: bool = True


def fit_problems(checkpoint: Checkpoint, workspace: Path | None = None) -> list[Problem]:
    """Every reason why the class of a full checkpoint cannot take its tensors.

    Args:
        workspace: where answers are kept; the default one by default. One that cannot be written
            only costs time.
    """
    if checkpoint.kind != "full" or is_plain(checkpoint):
        return []
    where = f"{checkpoint.name} ({checkpoint.path})"
    file = (workspace or default_workspace()) / MEMORY / f"{_key(checkpoint)}.json"
    try:
        misfits = json.loads(file.read_text(encoding="utf-8"))["misfits"]
    except (OSError, ValueError, KeyError):
        found = fit_of(checkpoint)
        misfits = found.misfits
        if found.answered:
            keep(file, {"misfits": misfits})
    return [Problem(where, what, fix) for what, fix in misfits]


def align_forms(base: Checkpoint, expert: Checkpoint) -> Checkpoint:
    """The expert under the base's names, where the class has several names for the same weights.

    Raises:
        BadInput: the expert stores the same weights in another form, fused or split.
    """
    mine, theirs = set(base.weights), set(expert.weights)
    kinds = {base.config.get("model_type"), expert.config.get("model_type")}
    # a tensor too few or too many is no other form
    if mine <= theirs or theirs <= mine or len(kinds) > 1 or {base.kind, expert.kind} != {"full"}:
        return expert
    first, second = fit_of(base), fit_of(expert)
    if first.misfits or second.misfits or not first.spots or not second.spots:
        return expert
    by_spot = {spot: name for name, spot in second.spots.items()}
    spots, others = set(first.spots.values()), set(second.spots.values())
    if spots == others:
        names = {by_spot[spot]: name for name, spot in first.spots.items()}
        tensors = {names.get(name, name): info for name, info in expert.tensors.items()}
        return replace(expert, tensors=tensors) if len(tensors) == len(expert.tensors) else expert
    if {_target(each) for each in spots} == {_target(each) for each in others}:
        odd = min(name for name, spot in second.spots.items() if spot not in spots)
        where = f"{expert.name} ({expert.path})"
        what = f"tensor {odd} is stored in a different form (fused or split) than in base"
        fix = "Load the expert with transformers and save it in the same way as base."
        raise bad(where, what, fix)
    return expert


def _target(spot: str) -> str:
    return spot.partition("|")[0]


def is_plain(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint stores exactly what a plain class has, under the class's own names, and
    says nothing that the class might refuse."""
    found = _plain().get(str(checkpoint.config.get("model_type")))
    count = next((checkpoint.config[key] for key in _COUNTS if key in checkpoint.config), None)
    if found is None or not isinstance(count, int) or count > 10_000 or checkpoint.ties.own:
        return False
    if not _usual(checkpoint):
        return False
    stored = set(checkpoint.weights)
    prefix, heads = found["prefix"], set(found["heads"])
    for put in (prefix, ""):
        wanted = {
            name.format(layer).removeprefix(prefix[: len(prefix) - len(put)])
            for name in found["names"]
            for layer in (range(count) if "{}" in name else (0,))
        }
        missing, more = wanted - stored, stored - wanted
        if not more and missing <= (heads if checkpoint.tied else set()):
            return True
    return False


def _usual(checkpoint: Checkpoint) -> bool:
    """Whether the settings are of the kind that the class has by default: no other activation than
    is known, no list for a number, no padding id without a row."""
    known = class_of(str(checkpoint.config.get("model_type")))
    defaults = {} if known is None else known.defaults
    for key, value in checkpoint.config.items():
        usual = defaults.get(key if known is None else known.aliases.get(key, key))
        if usual is None or value is None or key in _ROPE:
            continue
        if isinstance(value, dict | list) != isinstance(usual, dict | list):
            return False
        if (
            key.endswith(("_act", "activation", "activation_function"))
            and value not in _ACTIVATIONS
        ):
            return False
    padding, rows = (checkpoint.config.get(key) for key in ("pad_token_id", "vocab_size"))
    if isinstance(padding, int) and isinstance(rows, int):
        return -rows <= padding < rows
    return True


@lru_cache(maxsize=1)
def _plain() -> dict[str, Any]:
    document = json.loads(PLAIN.read_text(encoding="utf-8"))
    found: dict[str, Any] = document["model_types"]
    return found


def _key(checkpoint: Checkpoint) -> str:
    from importlib.metadata import version

    told = {
        "config": dict(checkpoint.config),
        "stored": sorted((name, info.shape) for name, info in checkpoint.tensors.items()),
        "own": checkpoint.ties.own,
        "versions": [version("transformers"), version("torch"), str(ANSWER)],
    }
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_ANSWERS: dict[str, Fit] = {}


def fit_of(checkpoint: Checkpoint) -> Fit:
    """What the class says of a full checkpoint; asked once a process."""
    key = _key(checkpoint)
    if key not in _ANSWERS:
        if "torch" in sys.modules:
            from engine.family.fit_answer import answer

            document = answer(checkpoint)
        else:
            document = _asked_apart(checkpoint)
        misfits = tuple((str(what), str(fix)) for what, fix in document["misfits"])
        layers = frozenset(map(str, document.get("layers", ())))
        answered = "broken off" not in document
        _ANSWERS[key] = Fit(misfits, FrozenDict(document["spots"]), layers, answered)
    return _ANSWERS[key]


def _asked_apart(checkpoint: Checkpoint) -> dict[str, Any]:
    """The answer of a process of its own, so that this one stays free of torch."""
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            [sys.executable, "-m", "engine.family.fit_answer", str(checkpoint.path)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        what = f"its class did not answer within {PATIENCE} s; do its sizes fit its tensors?"
        return {"misfits": [[what, _CLASS]], "spots": {}, "broken off": True}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["the process ended without output"])[-1]
        return {
            "misfits": [[f"its class cannot be instantiated ({last[:300]})", _CLASS]],
            "spots": {},
            "broken off": True,
        }
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
