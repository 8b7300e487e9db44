"""LoRA adapters: what an adapter adds to the base, read from its files alone.

A plain LoRA expert is exactly base + s·B·A on the tensors it names, so every weight-space method
applies to it. What is not of that form (DoRA's magnitudes, trained biases, whole saved modules,
initialisations that move the base) would silently give wrong weights, so it is refused with its
reason.

Sources: peft's LoraConfig and `get_pattern_key`; rank-stabilised scaling, arXiv 2312.03732.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem
from engine.family.headers import TensorInfo
from engine.family.tokenizer import read_object
from engine.recipe import FrozenDict

_MERGED = (
    "Merge it into its base with peft's merge_and_unload, save that, and name it as a full expert."
)

# key of adapter_config.json -> why a value other than None, False or empty cannot be used
_REFUSED = {
    "use_dora": "DoRA rescales whole weights by learned magnitudes, which is not base + s·B·A",
    "lora_bias": "its LoRA layers have biases of their own",
    "modules_to_save": "it replaces whole modules beside LoRA",
    "trainable_token_indices": "it replaces rows of the embedding beside LoRA",
    "layer_replication": "it repeats layers, so its model has another shape than the base",
    "target_parameters": "it adapts raw parameters, not modules",
    "alora_invocation_tokens": "an activated LoRA depends on the text, not on weights alone",
    "use_qalora": "QALoRA pools the inputs in groups",
    "use_bdlora": "block-diagonal LoRA is not a plain product B·A",
    "arrow_config": "Arrow routes between adapters by the text",
    "kasa_config": "KaSA truncates the base's singular values",
}
_MOVES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
_KEY = re.compile(
    r"(?:base_model\.model\.)?(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B)"
    r"(?:\.[A-Za-z0-9_\-]+?)??(?:\.weight)?"
)


@dataclass(frozen=True)
class LoraPair:
    """The two factors of one adapted tensor: delta = scale · B·A.

    Attributes:
        a, b: [rank, in] and [out, rank].
        transposed: the base tensor has shape [in, out] (embeddings, GPT-2's Conv1D).
    """

    module: str
    a: TensorInfo
    b: TensorInfo
    scale: float
    transposed: bool

    @property
    def rank(self) -> int:
        return self.a.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the base tensor that the delta is added to."""
        out, inner = self.b.shape[0], self.a.shape[1]
        return (inner, out) if self.transposed else (out, inner)


@dataclass(frozen=True)
class AdapterConfig:
    """What adapter_config.json says, as far as it changes weights.

    Attributes:
        pairs: base tensor name -> its factors; the names are the base checkpoint's own once a
            family is open.
        base: the name or path of the base it was trained on; shown, never followed.
        target_modules: as written: a list of names, or one pattern.
    """

    r: int
    alpha: float
    use_rslora: bool = False
    rank_pattern: Mapping[str, int] = field(default_factory=FrozenDict)
    alpha_pattern: Mapping[str, float] = field(default_factory=FrozenDict)
    fan_in_fan_out: bool = False
    target_modules: tuple[str, ...] | str = ()
    base: str = ""
    pairs: Mapping[str, LoraPair] = field(default_factory=FrozenDict)

    def rank_of(self, module: str) -> int:
        return int(self.rank_pattern.get(_pattern(self.rank_pattern, module), self.r))

    def scale_of(self, module: str) -> float:
        """alpha / r, or alpha / √r when rank-stabilised; patterns decide alpha and r by module."""
        rank = self.rank_of(module)
        alpha = self.alpha_pattern.get(_pattern(self.alpha_pattern, module), self.alpha)
        return alpha / math.sqrt(rank) if self.use_rslora else alpha / rank

    def with_pairs(self, pairs: Mapping[str, LoraPair]) -> AdapterConfig:
        return replace(self, pairs=FrozenDict(pairs))


def _pattern(patterns: Mapping[str, Any], module: str) -> str:
    """The first pattern that matches the name or its last parts; the name itself if none does."""
    for pattern in patterns:
        if re.match(_whole(pattern), module):
            return pattern
    return module


def _whole(pattern: str) -> str:
    return rf"(.*\.)?({pattern})$"


def _number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value > 0
    )


def read_adapter(path: Path) -> AdapterConfig:
    """`path`/adapter_config.json; raises `BadInput` with every reason it cannot be used."""
    file = path / "adapter_config.json"
    data = read_object(file)
    problems: list[Problem] = []

    def problem(what: str, fix: str) -> None:
        problems.append(Problem(str(file), what, fix))

    kind = data.get("peft_type")
    if str(kind).upper() != "LORA":
        problem(f"peft_type is {kind!r}; only LORA adapters can be combined", _MERGED)
    for key, reason in _REFUSED.items():
        value = data.get(key)
        if value not in (None, False, [], {}, ""):
            problem(f"{key} is {str(value)[:80]}: {reason}", _MERGED)
    if data.get("bias", "none") not in ("none", None):
        problem(f"bias is {data['bias']!r}: it trains the base's biases beside LoRA", _MERGED)
    start = data.get("init_lora_weights", True)
    if isinstance(start, str) and start.lower().startswith(_MOVES_BASE):
        problem(
            f"init_lora_weights is {start!r}: that changes the base itself before training", _MERGED
        )
    if not _number(data.get("r")) or data["r"] != int(data["r"]):
        problem(
            f"r is {data.get('r')!r}, not a whole number above 0", "Take the file as peft saved it."
        )
    alpha = data.get("lora_alpha")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        problem(
            f"lora_alpha is {data.get('lora_alpha')!r}, not a number",
            "Take the file as peft saved it.",
        )
    for key in ("rank_pattern", "alpha_pattern"):
        patterns = data.get(key) or {}
        if not isinstance(patterns, dict) or not all(_number(each) for each in patterns.values()):
            problem(
                f"{key} must map names to numbers above 0, got {str(patterns)[:80]}", "Mend it."
            )
            continue
        for pattern in patterns:
            try:
                re.compile(_whole(pattern))
            except re.error as error:
                problem(f"{key}: {pattern!r} is not a regular expression ({error})", "Mend it.")
    if problems:
        raise BadInput(*problems)
    modules = data.get("target_modules") or ()
    return AdapterConfig(
        r=int(data["r"]),
        alpha=float(data["lora_alpha"]),
        use_rslora=bool(data.get("use_rslora", False)),
        rank_pattern=FrozenDict(data.get("rank_pattern") or {}),
        alpha_pattern=FrozenDict(data.get("alpha_pattern") or {}),
        fan_in_fan_out=bool(data.get("fan_in_fan_out", False)),
        target_modules=modules
        if isinstance(modules, str)
        else tuple(str(each) for each in modules),
        base=str(data.get("base_model_name_or_path") or ""),
    )


def pair_up(config: AdapterConfig, tensors: Mapping[str, TensorInfo], file: Path) -> AdapterConfig:
    """The adapter with its factors paired by the base tensor they change.

    Raises:
        BadInput: a tensor that is no LoRA factor (a resized vocabulary, DoRA, a saved module), a
            factor without its partner, ranks that disagree with each other or with
            adapter_config.json.
    """
    problems: list[Problem] = []
    halves: dict[str, dict[str, TensorInfo]] = {}
    for name, info in tensors.items():
        match = _KEY.fullmatch(name)
        if match is None:
            if "magnitude_vector" in name:
                reason = _REFUSED["use_dora"]
            elif name.endswith((".bias", ".lora_B.bias")):
                reason = "it holds trained biases"
            elif "embed" in name or "lm_head" in name:
                reason = "it holds a whole embedding, as a resized vocabulary does"
            else:
                reason = "it is not a factor of a LoRA product"
            problems.append(Problem(f"{file}: tensor {name}", reason, _MERGED))
            continue
        halves.setdefault(match["module"], {})[match["part"]] = info
    pairs: dict[str, LoraPair] = {}
    for module, parts in halves.items():
        embedding = any(part.startswith("lora_embedding") for part in parts)
        first, second = (
            ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A", "lora_B")
        )
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
            what = f"{shapes}: not [r, in] and [out, r]"
            problems.append(Problem(where, what, _MERGED))
            continue
        if a.shape[0] != config.rank_of(module):
            what = f"its rank is {a.shape[0]} but adapter_config.json says {config.rank_of(module)}"
            problems.append(
                Problem(where, what, "Take config and weights of the same training run.")
            )
            continue
        transposed = embedding or config.fan_in_fan_out
        pairs[f"{module}.weight"] = LoraPair(module, a, b, config.scale_of(module), transposed)
    if not problems and not pairs:
        problems.append(
            Problem(str(file), "it holds no LoRA factor", "Check that training saved the adapter.")
        )
    if problems:
        raise BadInput(*problems)
    return config.with_pairs(pairs)
