"""One model on disk: full checkpoint, adapter or raw state dict, opened by its headers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from engine.errors import BadInput, Problem, bad
from engine.family.adapter import FILE, Adapter, open_adapter
from engine.family.config_types import config_problems, special_floats
from engine.family.headers import FLOAT_DTYPES, TensorInfo, read_header
from engine.family.own_files import special_files
from engine.family.quantised import left_by_quantiser, packed, said_quantised
from engine.family.shards import CONVERT, PICKLES, no_weights, read_weights
from engine.family.ties import HEADS, Ties, embedding_of, find_ties, is_head, pairs_of
from engine.family.unmerged import ignored_names, tower_names
from engine.family.wrapped import wrapped
from engine.json_reading import read_object
from engine.plain_file import irregular
from engine.recipe import FrozenDict

Kind = Literal["full", "lora", "adapter", "raw"]
"""A model; base + s·B·A; any other adapter, which peft merges; tensors without a config."""

# classes whose embedding has more rows than vocab_size says
_OTHER_ROWS = ("moshi", "mllama_text_model", "marian", "csm", "molmo2_text")
# names of the text part's embedding in a checkpoint of several parts
_TEXT_PART = re.compile(r"(?:^|\.)(?:language_model|text_model)\.|^(?:model\.)?embed_tokens\.")
# masks and tables that old checkpoints stored and every loader computes again
_COMPUTED = re.compile(
    r"(?:rotary_emb\.inv_freq|\.attn\.(?:masked_)?bias|\.attention\.(?:masked_)?bias)$"
)


@dataclass(frozen=True)
class Checkpoint:
    """One opened model; no tensor has been read.

    Attributes:
        path: a directory, or the single file of a raw state dict.
        name: its name in the family.
        config: config.json as it is; empty for adapters and raw state dicts.
        tensors: name -> where it lies; an adapter's own, in one spelling of their names.
        adapter: what an adapter adds; None for the other kinds.
    """

    path: Path
    name: str
    config: Mapping[str, Any]
    tensors: Mapping[str, TensorInfo]
    kind: Kind
    adapter: Adapter | None = field(default=None)

    def __repr__(self) -> str:
        size = f"{len(self.tensors)} tensors"
        return f"Checkpoint({self.name!r}, {str(self.path)!r}, {self.kind}, {size})"

    def setting(self, key: str, default: Any = None) -> Any:
        """A configuration value, from the top or from a nested text_config."""
        nested = self.config.get("text_config")
        return self.config.get(
            key, nested.get(key, default) if isinstance(nested, dict) else default
        )

    @property
    def is_adapter(self) -> bool:
        """Whether it stands on a base: it has neither weights of its own nor a config."""
        return self.adapter is not None

    @property
    def architecture(self) -> str:
        """The class name that the checkpoint was saved from, else its model type."""
        named = self.config.get("architectures")
        if isinstance(named, list) and named:
            return str(named[0])
        return str(self.config.get("model_type", self.kind))

    @property
    def files(self) -> tuple[Path, ...]:
        """The safetensors files, sorted."""
        return tuple(sorted({info.file for info in self.tensors.values()}))

    @cached_property
    def weights(self) -> dict[str, TensorInfo]:
        """The float tensors that matter: without tables that a loader computes again, and without
        what the class ignores."""
        return {
            name: info
            for name, info in self.tensors.items()
            if info.is_float and name not in self.ignored and not is_computed(info)
        }

    @cached_property
    def ignored(self) -> frozenset[str]:
        """Float tensors that the class of the model does not load, by its own list."""
        layers = self.setting("num_hidden_layers")
        names = (name for name, info in self.tensors.items() if info.is_float)
        return ignored_names(self.config, layers if isinstance(layers, int) else None, names)

    @cached_property
    def towers(self) -> frozenset[str]:
        """Tensors of a multimodal checkpoint that are not of its text part."""
        return tower_names(self.config, self.tensors)

    @property
    def dtype(self) -> str:
        """The float type that most elements have ("bfloat16", "float32" …)."""
        counts: Counter[str] = Counter()
        for info in self.tensors.values():
            if info.is_float:
                counts[FLOAT_DTYPES[info.dtype]] += info.count
        return counts.most_common(1)[0][0] if counts else "float32"

    @property
    def bytes(self) -> int:
        """Bytes of all tensors on disk."""
        return sum(info.bytes for info in self.tensors.values())

    @cached_property
    def embedding(self) -> str | None:
        """Name of the input embedding."""
        return embedding_of(self.config, self._text)

    @cached_property
    def ties(self) -> Ties:
        """What is tied, by class, configuration and values; see `engine.family.ties`."""
        return find_ties(self.config, self._text)

    @property
    def _text(self) -> Mapping[str, TensorInfo]:
        """The tensors without those of other towers."""
        if not self.towers:
            return self.tensors
        return {name: info for name, info in self.tensors.items() if name not in self.towers}

    @property
    def tied(self) -> bool:
        """Whether the output projection is the input embedding."""
        return self.ties.tied

    @property
    def heads(self) -> tuple[str, ...]:
        """Stored output projections, their biases left out."""
        named = [each for each in pairs_of(self.config) if each.endswith(".weight")][:1]
        return tuple(name for name in self._text if is_head(name) or name in named)

    @property
    def tied_heads(self) -> tuple[str, ...]:
        """Tensors that are stored though they are another one: an output projection, mostly."""
        return tuple(self.ties.copies)

    @property
    def parameters(self) -> int:
        """Number of float elements, those of a tied output projection once."""
        tied = self.tied_heads
        return sum(info.count for name, info in self.weights.items() if name not in tied)

    @cached_property
    def rows(self) -> int:
        """Rows of the vocabulary: of the input embedding, else as the config says, else 0."""
        if self.embedding is not None:
            return self.tensors[self.embedding].shape[0]
        size = self.setting("vocab_size")
        return size if isinstance(size, int) else 0

    def renamed(self, name: str) -> Checkpoint:
        return replace(self, name=name)


def is_computed(info: TensorInfo) -> bool:
    """Whether every loader computes this tensor again (rotary tables, causal masks)."""
    if not _COMPUTED.search(info.name):
        return False
    return info.name.endswith("inv_freq") or len(info.shape) in (0, 4)


def open_checkpoint(path: Path, name: str = "base") -> Checkpoint:
    """Open a directory (checkpoint or adapter) or one .safetensors file (raw state dict).

    Raises:
        BadInput: every problem found: nothing there, pickled weights, no config, hostile or
            truncated headers, an index that disagrees with its shards, quantised weights, an
            adapter of which no weights can be made.
    """
    try:
        return _open(Path(path), name)
    except OSError as error:
        where = f"{name} ({error.filename or path})"
        raise bad(
            where, f"cannot be read ({error.strerror or error})", "Check permissions."
        ) from None


def _open(path: Path, name: str) -> Checkpoint:
    if not path.exists():
        raise bad(
            f"{name} ({path})",
            "no such file or directory",
            "Check the path; nothing is downloaded.",
        )
    sort = irregular(path.stat().st_mode)
    if sort is not None and not path.is_dir():
        fix = "Give a Hugging Face directory, or a .safetensors file."
        raise bad(f"{name} ({path})", f"it is {sort}, not a directory", fix)
    if path.is_file():
        if path.suffix in PICKLES:
            raise bad(f"{name} ({path})", f"{path.suffix} weights cannot be read", CONVERT)
        if path.suffix != ".safetensors":
            raise bad(
                f"{name} ({path})",
                "not a .safetensors file",
                "Give one, or a Hugging Face directory.",
            )
        return Checkpoint(path, name, FrozenDict(), _usable(path, read_header(path)), "raw")
    if odd := special_files(path, name):
        raise BadInput(*odd)
    if (path / "adapter_config.json").is_file():
        file = path / FILE
        if not file.is_file():
            raise no_weights(path, name, file.name)
        adapter, tensors = open_adapter(path, read_header(file))
        kind: Kind = "lora" if adapter.plain else "adapter"
        return Checkpoint(path, name, FrozenDict(), tensors, kind, adapter)
    if not (path / "config.json").is_file():
        raise bad(
            f"{name} ({path})",
            "the directory has neither config.json nor adapter_config.json",
            "Give a Hugging Face model directory or an adapter.",
        )
    problems: list[Problem] = left_by_quantiser(path)
    config: dict[str, Any] = {}
    tensors = {}
    try:
        config = _config(path)
    except BadInput as error:
        problems.extend(error.problems)
    try:
        tensors = _usable(path, read_weights(path, name))
        problems.extend(wrapped(tensors, path))
    except BadInput as error:
        problems.extend(error.problems)
    opened = Checkpoint(path, name, config, tensors, "full")
    if config and tensors:
        problems.extend(_rows_as_configured(opened))
    if problems:
        raise BadInput(*problems)
    _ = opened.ties  # reads values where a head is stored beside the embedding that it should be
    return opened


def _config(path: Path) -> dict[str, Any]:
    """config.json, with the keys that everything else needs."""
    file = path / "config.json"
    config: dict[str, Any] = special_floats(read_object(file))
    problems = said_quantised(config, file) + config_problems(config, file)
    if config.get("model_type") is None:
        what = "the key 'model_type' is missing"
        problems.append(Problem(str(file), what, "Use the model's own config.json."))
    if config.get("transformers_weights"):
        what = f"transformers_weights names {str(config['transformers_weights'])[:80]!r} as weights"
        problems.append(
            Problem(str(file), what, "Load it and save it with save_pretrained as one model.")
        )
    if problems:
        raise BadInput(*problems)
    return config


def _rows_as_configured(opened: Checkpoint) -> list[Problem]:
    """The problem of an embedding or output projection that the configured size does not fit."""
    nested = opened.config.get("text_config")
    holder = nested if isinstance(nested, dict) else opened.config
    size = holder.get("vocab_size")
    if not isinstance(size, int) or holder.get("model_type") in _OTHER_ROWS:
        return []
    heads = [] if holder is nested else [name for name in opened.tensors if HEADS.search(name)]
    for name in filter(None, (opened.embedding, *heads)):
        info = opened.tensors[name]
        if holder is nested and not _TEXT_PART.search(name):
            continue
        if info.shape and info.shape[0] != size:
            what = f"vocab_size is {size}, but tensor {name} has {info.shape[0]} rows"
            fix = "Set vocab_size to that number of rows; transformers requires it."
            return [Problem(str(opened.path / "config.json"), what, fix)]
    return []


def _usable(path: Path, tensors: dict[str, TensorInfo]) -> dict[str, TensorInfo]:
    problems = packed(tensors)
    if problems:
        raise BadInput(*problems)
    if not any(info.is_float for info in tensors.values()):
        raise bad(str(path), "it has no float tensors", "Give a file of model weights.")
    return tensors
