"""adapter_config.json: whether an adapter can be used, decided before any tensor is read.

    plain       base + s·B·A on the layers it names: every path takes the factors themselves
    mergeable   any other type that peft merges into the base: a full expert once it is merged
    refused     what no weights can stand for, or what peft itself cannot load again

Sources: peft's LoraConfig and `get_pattern_key`; rank-stabilised scaling, arXiv 2312.03732.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem
from engine.family.adapter_patterns import first_pattern, pattern_problems
from engine.family.config_types import adapter_problems
from engine.family.peft_types import REFUSED, USABLE, PeftType
from engine.json_reading import read_object
from engine.parameter import is_number
from engine.recipe import FrozenDict

CONVERT = (
    "Save it again with peft's save_pretrained(path_initial_model_for_weight_conversion=…), as "
    "the training code describes; the result is a plain LoRA adapter."
)
FULL = "Merge it where it was trained, save the merged model, and use that as a full expert."
_RETRAIN = "Use the file that peft saved."

# key of a LoRA's adapter_config.json -> why a value other than None, False or empty is refused
_REFUSED_KEYS = {
    "layer_replication": "it repeats layers, so its model has a different structure from the base",
    "alora_invocation_tokens": "an activated LoRA depends on the text, not only on weights",
    "arrow_config": "Arrow routes between adapters by the text",
    "use_qalora": "QALoRA pools inputs by the groups of a quantised base",
}
# beginning of init_lora_weights -> why what was trained cannot be had from the file and the base
_REFUSED_STARTS = {
    "pissa_niter": "peft draws that initialisation at random each time it loads the adapter",
    "corda": "its initialisation changed the base using covariances that are not in the file",
    "loftq": "its initialisation changed the base to quantised weights that are not in the file",
    "lora_ga": "its initialisation changed the base using gradients that are not in the file",
}
# starts that move the base in a way that peft repeats exactly when it loads the adapter
_MOVES_BASE = ("pissa", "olora")
# keys of a LoRA that make it more than a product of two factors
_VARIANTS = (
    "use_dora",
    "lora_bias",
    "modules_to_save",
    "trainable_token_indices",
    "target_parameters",
    "use_bdlora",
    "kasa_config",
    "velora_config",
    "monteclora_config",
)
_EMPTY: tuple[Any, ...] = (None, False, [], {}, "")


@dataclass(frozen=True)
class AdapterConfig:
    """What adapter_config.json says.

    Attributes:
        type: peft's name for it ("LORA", "LOHA" …).
        settings: the file as it is.
        base: the name or path of the base it was trained on; shown, never followed.
        plain: whether it is exactly base + s·B·A on its layers, as far as the configuration says.
        r, alpha, use_rslora, rank_pattern, alpha_pattern, fan_in_fan_out: of a LoRA.
    """

    type: str = "LORA"
    settings: Mapping[str, Any] = field(default_factory=FrozenDict, repr=False)
    base: str = ""
    plain: bool = True
    r: int = 0
    alpha: float = 0.0
    use_rslora: bool = False
    rank_pattern: Mapping[str, int] = field(default_factory=FrozenDict)
    alpha_pattern: Mapping[str, float] = field(default_factory=FrozenDict)
    fan_in_fan_out: bool = False

    @property
    def form(self) -> PeftType:
        """How its tensors are named."""
        return USABLE[self.type]

    @property
    def label(self) -> str:
        """What it is called on screen and in papers."""
        if self.type != "LORA" or self.plain:
            return {"LORA": "LoRA"}.get(self.type, self.type)
        if self.settings.get("use_dora") not in _EMPTY:
            return "DoRA"
        return "LoRA with more"

    def rank_of(self, module: str) -> int:
        found = first_pattern(self.rank_pattern, module, "rank_pattern")
        return int(self.rank_pattern.get(found, self.r))

    def scale_of(self, module: str) -> float:
        """alpha / r, or alpha / √r when rank-stabilised; patterns decide alpha and r by module."""
        rank = self.rank_of(module)
        found = first_pattern(self.alpha_pattern, module, "alpha_pattern")
        alpha = self.alpha_pattern.get(found, self.alpha)
        return alpha / math.sqrt(rank) if self.use_rslora else alpha / rank


def _number(value: Any) -> bool:
    return is_number(value) and value > 0


def read_config(path: Path) -> AdapterConfig:
    """`path`/adapter_config.json; raises `BadInput` with every reason it cannot be used."""
    file = path / "adapter_config.json"
    data = read_object(file)
    wrong = adapter_problems(data, file)
    if wrong:
        raise BadInput(*wrong)
    kind = str(data.get("peft_type")).upper()
    base = str(data.get("base_model_name_or_path") or "")
    problems: list[Problem] = []

    def problem(what: str, fix: str) -> None:
        problems.append(Problem(str(file), what, fix))

    if kind in REFUSED:
        problem(f"peft_type is {kind}: {REFUSED[kind]}", "Use another expert.")
    elif kind not in USABLE:
        what = f"peft_type is {data.get('peft_type')!r}, which peft 0.21 does not know"
        problem(what, FULL)
    if kind == "PVERA" and data.get("sample_at_inference"):
        problem("sample_at_inference is on: its output is random", "Set it to false.")
    if kind == "LORA":
        _check_lora(data, problem)
    problems += pattern_problems(data, (), file)
    if problems:
        raise BadInput(*problems)
    if kind != "LORA":
        return AdapterConfig(type=kind, settings=FrozenDict(data), base=base, plain=False)
    start = data.get("init_lora_weights", True)
    moved = isinstance(start, str) and start.lower().startswith(_MOVES_BASE)
    bias = data.get("bias", "none") not in ("none", None)
    return AdapterConfig(
        settings=FrozenDict(data),
        base=base,
        plain=not (moved or bias or any(data.get(each) not in _EMPTY for each in _VARIANTS)),
        r=int(data["r"]),
        alpha=float(data["lora_alpha"]),
        use_rslora=bool(data.get("use_rslora", False)),
        rank_pattern=FrozenDict(data.get("rank_pattern") or {}),
        alpha_pattern=FrozenDict(data.get("alpha_pattern") or {}),
        fan_in_fan_out=bool(data.get("fan_in_fan_out", False)),
    )


def _check_lora(data: Mapping[str, Any], problem: Any) -> None:
    for key, reason in _REFUSED_KEYS.items():
        value = data.get(key)
        if value not in _EMPTY:
            problem(f"{key} is {str(value)[:80]}: {reason}", FULL)
    start = data.get("init_lora_weights", True)
    for begins, reason in _REFUSED_STARTS.items():
        if isinstance(start, str) and start.lower().startswith(begins):
            problem(f"init_lora_weights is {start!r}: {reason}", CONVERT)
    if not _number(data.get("r")) or data["r"] != int(data["r"]):
        problem(f"r is {data.get('r')!r}, not a whole number above 0", _RETRAIN)
    alpha = data.get("lora_alpha")
    if not is_number(alpha):
        problem(f"lora_alpha is {alpha!r}, not a number", _RETRAIN)
    for key in ("rank_pattern", "alpha_pattern"):
        patterns = data.get(key) or {}
        if not isinstance(patterns, dict) or not all(_number(each) for each in patterns.values()):
            what = f"{key} must map names to numbers above 0, got {str(patterns)[:80]}"
            problem(what, "Correct it.")
