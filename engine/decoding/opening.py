"""How every model of a family is fed, determined before anything runs; inexact ones are refused.

    config.json ── known ────────────────────────────► at once, without torch
               └── tried in this workspace before ───► read
               └── anything else ────────────────────► tried (seconds), remembered

A trial runs in this process where torch is loaded already, else in one of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.decoding.feeding import Feeding, known
from engine.errors import BadInput, Problem
from engine.family.compatibility import Family
from engine.family.fit import PATIENCE
from engine.family.keeping import keep

TRIAL = 2
"""Version of what is tried and how; raised when an answer may differ from a remembered one."""

MEMORY = "feedings"
"""Directory in the workspace where answers are remembered, a file each."""

_ASIDE = (
    "architectures", "transformers_version", "torch_dtype", "dtype", "name_or_path", "use_cache",
    "bos_token_id", "eos_token_id",
)  # fmt: skip
"""Keys of a configuration that say nothing of how a model runs."""


def feedings(family: Family, workspace: Path | None = None) -> dict[str, Feeding]:
    """Model name -> how it is fed; an adapter runs as the base does.

    Args:
        workspace: where answers of trials are remembered; the default one by default. One that
            cannot be written only costs time.

    Raises:
        BadInput: every model that cannot be fed exactly, with the reason.
    """
    found: dict[str, Feeding] = {}
    answers: dict[str, Feeding | Problem] = {}
    problems: list[Problem] = []
    for name, model in family.models.items():
        if model.kind != "full":
            continue
        key = _key(model.config)
        if key not in answers:
            answers[key] = known(model.config) or _asked(key, model.config, workspace)
        answer = answers[key]
        if isinstance(answer, Problem):
            where = f"{name} ({model.path / 'config.json'}): {answer.where}"
            problems.append(Problem(where, answer.what, answer.fix))
        else:
            found[name] = answer
    if problems:
        raise BadInput(*problems)
    adapters = [name for name, model in family.models.items() if model.is_adapter]
    return found | {name: found["base"] for name in adapters if "base" in found}


def _key(config: Mapping[str, Any]) -> str:
    told = {k: v for k, v in config.items() if k not in _ASIDE and not k.startswith("_")}
    return json.dumps(told, sort_keys=True, default=str)


def _asked(key: str, config: Mapping[str, Any], workspace: Path | None) -> Feeding | Problem:
    """The remembered answer to a configuration, else that of a trial."""
    from importlib.metadata import version

    from cache.point import default_workspace

    versions = [version(each) for each in ("transformers", "torch")]
    name = hashlib.sha256("\n".join([key, *versions, str(TRIAL)]).encode()).hexdigest()[:32]
    file = (workspace or default_workspace()) / MEMORY / f"{name}.json"
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        document = answer_document(config) if "torch" in sys.modules else _apart(config)
        if "broken off" not in document:
            keep(file, document)
    if "refused" in document:
        return Problem(*document["refused"])
    return Feeding(**document["feeding"])


def answer_document(config: Mapping[str, Any]) -> dict[str, Any]:
    """{"feeding": …} or {"refused": [where, what, fix]}: a trial's answer, for a file."""
    from engine.decoding.trial import tried

    try:
        return {"feeding": tried(config).as_dict()}
    except BadInput as error:
        first = error.problems[0]
        return {"refused": [first.where, first.what, first.fix]}


def _apart(config: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a process of its own, so that this one stays free of torch. Where that was
    broken off, by want of time or memory, it is none for the next time."""
    import subprocess

    root = Path(__file__).parents[2]
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    kind = str(config.get("model_type"))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "engine.decoding.ask"],
            input=json.dumps(config, default=str),
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        what = f"loading its class took longer than {PATIENCE} s"
        refused = [kind, what, "Check the sizes in config.json."]
        return {"refused": refused, "broken off": True}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["the process ended without output"])[-1]
        what = f"its class cannot be tried ({last[:300]})"
        refused = [kind, what, "Use a model class that transformers includes."]
        return {"refused": refused, "broken off": True}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
