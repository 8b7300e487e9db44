"""One model on disk: full checkpoint, LoRA adapter or raw state dict, opened by its headers."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from engine.errors import BadInput, Problem, bad
from engine.family.adapter import AdapterConfig, pair_up, read_adapter
from engine.family.headers import FLOAT_DTYPES, TensorInfo, read_header
from engine.family.tokenizer import read_object
from engine.recipe import FrozenDict

logger = logging.getLogger(__name__)

Kind = Literal["full", "lora", "raw"]

EMBEDDINGS = re.compile(
    r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|embed_in|tok_embeddings)\.weight$"
)
HEADS = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output_projection)\.(?:weight|bias)$")
# masks and tables that old checkpoints stored and every loader computes anew
_COMPUTED = re.compile(
    r"(?:rotary_emb\.inv_freq|\.attn\.(?:masked_)?bias|\.attention\.(?:masked_)?bias)$"
)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_CONVERT = (
    "Convert it to safetensors where you trust it: load it there and save_pretrained it again. "
    "Those formats are pickles, and opening a pickle runs whatever code it holds."
)


@dataclass(frozen=True)
class Checkpoint:
    """One opened model; no tensor has been read.

    Attributes:
        path: a directory, or the single file of a raw state dict.
        name: its name in the family.
        config: config.json as it is; empty for adapters and raw state dicts.
        tensors: name -> where it lies; an adapter's own factors for kind "lora".
        adapter: what a LoRA adapter adds; None for the other kinds.
    """

    path: Path
    name: str
    config: Mapping[str, Any]
    tensors: Mapping[str, TensorInfo]
    kind: Kind
    adapter: AdapterConfig | None = field(default=None)

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

    @property
    def weights(self) -> dict[str, TensorInfo]:
        """The float tensors that matter: without the tables that a loader computes anew."""
        return {
            name: info
            for name, info in self.tensors.items()
            if info.is_float and not is_computed(info)
        }

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

    @property
    def embedding(self) -> str | None:
        """Name of the input embedding."""
        return next((name for name in self.tensors if EMBEDDINGS.search(name)), None)

    @property
    def tied(self) -> bool:
        """Whether the output projection is the input embedding, by config, else by tensors."""
        said = self.setting("tie_word_embeddings")
        if isinstance(said, bool):
            return said
        return not any(HEADS.search(name) for name in self.tensors)

    @property
    def tied_heads(self) -> tuple[str, ...]:
        """Output projections that are stored though they are the input embedding."""
        if not self.tied or self.embedding is None:
            return ()
        return tuple(
            name for name in self.tensors if HEADS.search(name) and name.endswith(".weight")
        )

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
    """Whether every loader computes this tensor anew (rotary tables, causal masks)."""
    if not _COMPUTED.search(info.name):
        return False
    return info.name.endswith("inv_freq") or len(info.shape) in (0, 4)


def open_checkpoint(path: Path, name: str = "base") -> Checkpoint:
    """Open a directory (checkpoint or LoRA adapter) or one .safetensors file (raw state dict).

    Raises:
        BadInput: every problem found: nothing there, pickled weights, no config, hostile or
            truncated headers, an index that disagrees with its shards, quantised weights, an
            adapter that is not plain LoRA.
    """
    path = Path(path)
    if not path.exists():
        raise bad(
            f"{name} ({path})",
            "no such file or directory",
            "Check the path; nothing is downloaded.",
        )
    if path.is_file():
        if path.suffix in _PICKLES:
            raise bad(f"{name} ({path})", f"{path.suffix} weights are not opened", _CONVERT)
        if path.suffix != ".safetensors":
            raise bad(
                f"{name} ({path})",
                "not a .safetensors file",
                "Give one, or a Hugging Face directory.",
            )
        return Checkpoint(path, name, FrozenDict(), _usable(path, read_header(path)), "raw")
    if (path / "adapter_config.json").is_file():
        adapter = read_adapter(path)
        file = path / "adapter_model.safetensors"
        if not file.is_file():
            raise _no_weights(path, name, file.name)
        tensors = read_header(file)
        return Checkpoint(
            path, name, FrozenDict(), tensors, "lora", pair_up(adapter, tensors, file)
        )
    if not (path / "config.json").is_file():
        raise bad(
            f"{name} ({path})",
            "the directory has neither config.json nor adapter_config.json",
            "Give a Hugging Face model directory or a LoRA adapter.",
        )
    problems: list[Problem] = []
    config: dict[str, Any] = {}
    tensors = {}
    try:
        config = _config(path)
    except BadInput as error:
        problems.extend(error.problems)
    try:
        tensors = _usable(path, _weights(path, name))
    except BadInput as error:
        problems.extend(error.problems)
    if problems:
        raise BadInput(*problems)
    return Checkpoint(path, name, config, tensors, "full")


def _config(path: Path) -> dict[str, Any]:
    """config.json, with the keys that everything else needs."""
    file = path / "config.json"
    config = read_object(file)
    problems = []
    if not isinstance(config.get("model_type"), str):
        problems.append(
            Problem(
                str(file), "the key 'model_type' is missing", "Take the model's own config.json."
            )
        )
    if config.get("quantization_config"):
        kind = config["quantization_config"]
        kind = kind.get("quant_method", "unknown") if isinstance(kind, dict) else "unknown"
        what = f"the weights are quantised ({kind}); task vectors need float weights"
        problems.append(Problem(str(file), what, "Use the model as it was before quantisation."))
    if problems:
        raise BadInput(*problems)
    return config


def _usable(path: Path, tensors: dict[str, TensorInfo]) -> dict[str, TensorInfo]:
    if not any(info.is_float for info in tensors.values()):
        raise bad(str(path), "there is no float tensor in it", "Give a model's weights.")
    for each in tensors.values():
        if each.dtype.startswith("F") and not each.is_float:
            what = f"tensor {each.name} is {each.dtype}, a quantised type"
            raise bad(str(each.file), what, "Use the model as it was before quantisation.")
    return tensors


def _no_weights(path: Path, name: str, expected: str) -> BadInput:
    """The error for missing weights, which says what lies there instead."""
    there = sorted(each.name for each in path.iterdir() if each.is_file())
    pickles = [each for each in there if Path(each).suffix in _PICKLES]
    if pickles:
        return bad(
            f"{name} ({path})",
            f"only pickled weights are here ({', '.join(pickles[:3])})",
            _CONVERT,
        )
    others = [each for each in there if each.endswith((".safetensors", ".gguf"))]
    seen = f"; there is {', '.join(others[:3])}" if others else ""
    return bad(f"{name} ({path})", f"there is no {expected}{seen}", "Download the weights again.")


def _weights(path: Path, name: str) -> dict[str, TensorInfo]:
    """All tensors of a directory: model.safetensors, else the shards of its index."""
    single = path / "model.safetensors"
    if single.is_file():
        return read_header(single)
    index = path / "model.safetensors.index.json"
    if not index.is_file():
        raise _no_weights(path, name, "model.safetensors")
    places = read_object(index).get("weight_map")
    if (
        not isinstance(places, dict)
        or not places
        or not all(isinstance(each, str) for each in places.values())
    ):
        raise bad(
            str(index), "weight_map must map tensor names to files", "Download the index again."
        )
    problems: list[Problem] = []
    tensors: dict[str, TensorInfo] = {}
    for shard in sorted(set(places.values())):
        # a plain name cannot lead out of the directory; links are followed: the hub caches links
        if (
            not shard.endswith(".safetensors")
            or shard != Path(shard).name
            or "\\" in shard
            or "\0" in shard
        ):
            what = (
                f"the shard {shard!a} is not the plain name of a .safetensors file beside the index"
            )
            problems.append(
                Problem(
                    str(index), what, "Do not use this download; shards lie beside their index."
                )
            )
            continue
        if not (path / shard).is_file():
            problems.append(
                Problem(
                    str(index), f"the shard {shard} is missing", "Download it, or mend the index."
                )
            )
            continue
        try:
            found = read_header(path / shard)
        except BadInput as error:
            problems.extend(error.problems)
            continue
        for key in sorted(found.keys() & tensors.keys()):
            what = f"tensor {key} stands in {tensors[key].file.name} and in {shard}"
            problems.append(Problem(str(index), what, "Keep one of the two."))
        absent = sorted(key for key, place in places.items() if place == shard and key not in found)
        if absent:
            more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
            what = f"tensor {absent[0]}{more} is not in {shard}, where the index has it"
            problems.append(Problem(str(index), what, "Download the shard again."))
        unlisted = sorted(found.keys() - places.keys())
        if unlisted:
            logger.warning(
                "%s: %s has tensors that the index does not list: %s", index, shard, unlisted[:3]
            )
        tensors.update(found)
    if problems:
        raise BadInput(*problems)
    return tensors
