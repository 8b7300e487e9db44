"""Code that comes with a checkpoint: copied to exports, never run here.

`auto_map` in config.json or tokenizer_config.json names Python files beside the weights. Where
transformers has a class of its own for the model type, that class runs and the code is only taken
along; where it has none, the model cannot run and that is said before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import Problem
from engine.family.checkpoint import Checkpoint
from engine.family.classes import class_of
from engine.json_reading import read_object

# tokenizers of other libraries: tiktoken's ranks, sentencepiece's pieces, Mistral's own
_TABLES = (".tiktoken", ".model")
_NAMED = ("tekken.json",)


def code_files(path: Path) -> list[Path]:
    """The Python files of a directory whose settings name code of its own, sorted; else none."""
    for name in ("config.json", "tokenizer_config.json"):
        file = path / name
        if file.is_file() and read_object(file).get("auto_map"):
            return sorted(each for each in path.glob("*.py") if each.is_file())
    return []


def table_files(path: Path) -> list[Path]:
    """Vocabularies that only other libraries read, sorted."""
    return [
        each
        for each in sorted(path.iterdir())
        if (each.suffix in _TABLES or each.name in _NAMED) and each.is_file()
    ]


def unknown_class(model: Checkpoint) -> list[Problem]:
    """The problem of a model that transformers has no language model for."""
    kind = str(model.config.get("model_type"))
    known = class_of(kind)
    if known is not None and known.auto:
        return []
    what = f"transformers has no causal language model of its own for model_type {kind!r}"
    if model.config.get("auto_map"):
        what += f", and the checkpoint's own code ({_named(model.config)}) is never run"
    fix = (
        "Use a model class that transformers includes; the command `merge` can combine any weights."
    )
    return [Problem(f"{model.name} ({model.path / 'config.json'})", what, fix)]


def code_note(model: Checkpoint) -> list[str]:
    """What to know of code that a model brings along though transformers has its class."""
    if not model.config.get("auto_map"):
        return []
    return [
        f"{model.name}: config.json names its own code ({_named(model.config)}); it is copied to "
        "exports but never run; transformers' own class is used."
    ]


def _named(config: Mapping[str, Any]) -> str:
    names = config["auto_map"]
    values = names.values() if isinstance(names, Mapping) else [names]
    return ", ".join(sorted({str(each).rpartition(".")[0] or str(each) for each in values}))[:120]
