"""What a mergekit YAML says, in one form whether it lists whole models or slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.mergekit.method import Merge

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """One model's part in a slice.

    Attributes:
        model: its name, a key of `MergeFile.models`.
        layers: first and one past the last; None for all.
    """

    model: str
    layers: tuple[int, int] | None = None
    parameters: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class Slice:
    """Layers of the result that come from the same sources.

    Attributes:
        base: the model that differences are taken to, of this slice alone; None for the file's.
    """

    sources: tuple[Source, ...]
    base: str | None = None
    parameters: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class MergeFile:
    """What a mergekit YAML says.

    Attributes:
        models: name -> directory; first the one whose configuration the result takes.
        base: name of `base_model`.
        whole: whether the file lists whole models, not slices.
        dtype: what tensors are turned into before they are merged; None leaves them.
        out_dtype: what the result is turned into.
        tokenizer: "base", "union", the name of a model, or None to copy one unchanged.
        path: the file, for messages.
    """

    merge: Merge
    models: Mapping[str, Path]
    slices: tuple[Slice, ...]
    base: str | None
    whole: bool
    path: str
    parameters: Settings = field(default_factory=dict)
    dtype: str | None = None
    out_dtype: str | None = None
    tokenizer: str | None = None
    chat_template: str | None = None
