"""Adapters: what one adds to the base, read from its files alone; every tensor is used or refused.

    adapter_config.json ─► plain, mergeable or refused          (adapter_config.py)
    names in the file   ─► one spelling                         (adapter_names.py)
    plain LoRA          ─► pairs of factors: delta = s·B·A on a tensor of the base
    any other           ─► merged by peft, once, in the worker  (merging/materialised.py)

Here nothing has seen the base yet; `engine.family.placing` puts an adapter onto it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem
from engine.family.adapter_config import FULL, AdapterConfig, read_config
from engine.family.adapter_names import AdapterName, read_names
from engine.family.headers import TensorInfo
from engine.family.ties import same_values
from engine.recipe import FrozenDict

FILE = "adapter_model.safetensors"
# keys of adapter_config.json that say where an adapter came from, not what it computes
_PROVENANCE = (
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "peft_version",
    "revision",
)
_FACTORS = (("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B"))
# key of a LoRA's configuration -> the tensor that it puts on every layer
_VARIANTS = {"use_dora": "lora_magnitude_vector", "kasa_config": "lora_diag"}
_PLAIN_PARTS = frozenset(part for pair in _FACTORS for part in pair)


@dataclass(frozen=True)
class LoraPair:
    """The two factors of one adapted tensor: delta = scale · B·A.

    Attributes:
        module: the layer, as the adapter's own file calls it.
        a, b: [rank, in] and [out, rank].
        embedding: it adapts the rows of an embedding.
        transposed: the base tensor has shape [in, out] (embeddings, Conv1D).
    """

    module: str
    a: TensorInfo
    b: TensorInfo
    scale: float
    transposed: bool
    embedding: bool = False

    @property
    def rank(self) -> int:
        return self.a.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the base tensor that the delta is added to."""
        out, inner = self.b.shape[0], self.a.shape[1]
        return (inner, out) if self.transposed else (out, inner)


@dataclass(frozen=True)
class Adapter:
    """One adapter, opened by its headers.

    Attributes:
        config: its adapter_config.json.
        pairs: of a LoRA whose layers are plain: base tensor name -> its factors. The names are the
            base checkpoint's own once a family is open; then there are none beside `whole`.
        modules: the layers that it adapts, as its file calls them, sorted.
        whole: base tensor name -> the tensor of the file that takes its place; the names are the
            base checkpoint's own once a family is open.
        tokens: embeddings of which it retrains single rows.
    """

    config: AdapterConfig
    pairs: Mapping[str, LoraPair] = field(default_factory=FrozenDict)
    modules: tuple[str, ...] = ()
    whole: Mapping[str, TensorInfo] = field(default_factory=FrozenDict)
    tokens: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it is nothing but products of factors that are added to the base."""
        return bool(self.pairs) and not self.whole

    @property
    def label(self) -> str:
        """What it is called on screen and in papers."""
        return f"{self.config.label} with more" if self.pairs and self.whole else self.config.label

    def placed(self, pairs: Mapping[str, LoraPair], whole: Mapping[str, TensorInfo]) -> Adapter:
        return replace(self, pairs=FrozenDict(pairs), whole=FrozenDict(whole))


def open_adapter(
    path: Path, tensors: Mapping[str, TensorInfo]
) -> tuple[Adapter, dict[str, TensorInfo]]:
    """The adapter of a directory, and its tensors in one spelling of their names.

    Args:
        tensors: of its file, by the file's own names.

    Raises:
        BadInput: a configuration that cannot be used; a tensor that its type does not know; two
            adapters in one file; factors without a partner or of another rank than the
            configuration says.
    """
    config, file = read_config(path), path / FILE
    read, inside = read_names(tensors, config.form)
    problems: list[Problem] = []
    if len(inside) > 1:
        what = f"it holds several adapters: {', '.join(inside)}"
        problems.append(Problem(str(file), what, "Save each adapter on its own."))
    unknown = [name for name in tensors if name not in read]
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        what = f"it is not a tensor that peft saves for {config.type}{more}"
        problems.append(Problem(f"{file}: tensor {unknown[0]}", what, FULL))
    named: dict[str, tuple[AdapterName, TensorInfo]] = {}
    for name, each in read.items():
        if each.kept:
            continue
        known = named.setdefault(each.name, (each, tensors[name]))[1]
        if known.name != name and not same_values(known, tensors[name]):
            what = f"it and {known.name} are the same tensor of the model with different values"
            problems.append(Problem(f"{file}: tensor {name}", what, "Save the adapter again."))
    problems += _missing(config, [each for each, _ in named.values()], file)
    if problems:
        raise BadInput(*problems)
    found = {name: info for name, (_, info) in named.items()}
    entries = [each for each, _ in named.values()]
    whole = {each.name: found[each.name] for each in entries if not each.part}
    plain = config.plain and all(each.part in _PLAIN_PARTS for each in entries if each.part)
    adapter = Adapter(
        config=config if plain == config.plain else replace(config, plain=False),
        pairs=FrozenDict(
            _pairs(config, [each for each in entries if each.part], found, file) if plain else {}
        ),
        modules=tuple(sorted({e.module for e in entries if e.part and not _token(e.part)} - {""})),
        whole=FrozenDict(whole),
        tokens=tuple(sorted(each.module for each in entries if _token(each.part))),
    )
    if not entries:
        raise BadInput(
            Problem(str(file), "it holds no tensors", "Check that training saved the adapter.")
        )
    return adapter, found


def identity(adapter: Adapter, tensors: Mapping[str, TensorInfo]) -> Any:
    """What an adapter computes beside the numbers of its tensors, for a fingerprint."""
    if not adapter.plain:
        kept = {k: v for k, v in adapter.config.settings.items() if k not in _PROVENANCE}
        return [adapter.config.type, kept]
    pairs = adapter.pairs.values()
    settings: list[Any] = sorted([pair.module, pair.scale, pair.transposed] for pair in pairs)
    if any(info.name != f"base_model.model.{name}" for name, info in tensors.items()):
        # other spellings of the names were once left out where an adapter ran unmerged
        settings.append("read in one spelling")
    return settings


def _token(part: str) -> bool:
    return part == "trainable_tokens_delta"


def _missing(config: AdapterConfig, entries: list[AdapterName], file: Path) -> list[Problem]:
    """Layers that lack a tensor which their type cannot do without."""
    sets = config.form.sets
    if config.plain or not sets:
        return []  # pairs of factors are looked at one by one
    more = {part for key, part in _VARIANTS.items() if config.settings.get(key)}
    layers: dict[str, set[str]] = {}
    for each in entries:
        if each.part and each.module and not _token(each.part):
            layers.setdefault(each.name.rpartition(f".{each.part}")[0], set()).add(each.part)
    for layer, parts in layers.items():
        needed = min((each | more for each in sets), key=lambda each: len(each - parts))
        if needed - parts:
            what = f"{min(needed - parts)} is missing"
            return [Problem(f"{file}: module {layer}", what, "Copy the adapter again.")]
    return []


def _pairs(
    config: AdapterConfig,
    entries: list[AdapterName],
    tensors: Mapping[str, TensorInfo],
    file: Path,
) -> dict[str, LoraPair]:
    """Factors paired by the base tensor they change; raises `BadInput` for what does not pair."""
    problems: list[Problem] = []
    halves: dict[str, dict[str, TensorInfo]] = {}
    for each in entries:
        if each.name.endswith(".bias"):
            what = "it is a bias, but lora_bias is off in adapter_config.json"
            fix = "Use the config and the weights of the same training run."
            problems.append(Problem(f"{file}: tensor {each.name}", what, fix))
            continue
        halves.setdefault(each.module, {})[each.part] = tensors[each.name]
    pairs: dict[str, LoraPair] = {}
    for module, parts in halves.items():
        embedding = any(part.startswith("lora_embedding") for part in parts)
        first, second = _FACTORS[embedding]
        where = f"{file}: module {module}"
        if set(parts) != {first, second}:
            missing = second if first in parts else first
            problems.append(Problem(where, f"{missing} is missing", "Copy the adapter again."))
            continue
        a, b = parts[first], parts[second]
        if (
            len(a.shape) != 2
            or len(b.shape) != 2
            or a.shape[0] != b.shape[1]
            or not (a.is_float and b.is_float)
        ):
            shapes = f"A is {a.dtype} {list(a.shape)} and B is {b.dtype} {list(b.shape)}"
            problems.append(Problem(where, f"{shapes}: not [r, in] and [out, r]", FULL))
            continue
        rank = config.rank_of(module)
        if a.shape[0] != rank:
            what = f"its rank is {a.shape[0]} but adapter_config.json says {rank}"
            fix = "Use the config and the weights of the same training run."
            problems.append(Problem(where, what, fix))
            continue
        transposed = embedding or config.fan_in_fan_out
        scale = config.scale_of(module)
        pairs[f"{module}.weight"] = LoraPair(module, a, b, scale, transposed, embedding)
    if problems:
        raise BadInput(*problems)
    return pairs
