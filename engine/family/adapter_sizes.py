"""Do an adapter's tensors have the sizes of the layers they are for? From headers.

Only what is sure by name is looked at: which dimension of which tensor is the layer's input or
output. An adapter of a smaller or larger base has the same names and fails here, not when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.errors import Problem
from engine.family.adapter import Adapter
from engine.family.checkpoint import Checkpoint
from engine.family.headers import TensorInfo
from engine.family.live_names import LiveNames
from engine.family.peft_types import CONV1D

_LORA = {"lora_A": (1, 1), "lora_B": (0, 0)}
_DORA = {**_LORA, "lora_magnitude_vector": (0, 0)}

SIDES: Mapping[str, Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "LORA": _DORA,
        "ADALORA": _LORA,
        "BOFT": {"boft_s": (0, 0)},
        "DELORA": {"delora_A": (1, 1), "delora_B": (0, 0), "delora_w_norm": (0, 1)},
        "HIRA": {"hira_A": (1, 1), "hira_B": (0, 0)},
        "HRA": {"hra_u": (0, 1)},
        "LN_TUNING": {"ln_tuning_layers": (0, 0)},
        "LOHA": {f"hada_w{i}_{end}": (side, side) for i in (1, 2) for side, end in enumerate("ab")},
        "MISS": {"miss_block": (1, 0)},
        "PVERA": {"pvera_lambda_b": (0, 0)},
        "VERA": {"vera_lambda_b": (0, 0)},
    }
)  # fmt: skip
"""type -> tensor -> (its dimension, the layer's: 0 for outputs, 1 for inputs)."""

_BASE = "Use the base that this adapter was trained on."


def size_problems(
    base: Checkpoint,
    adapter: Adapter,
    tensors: Mapping[str, TensorInfo],
    names: LiveNames,
    where: str,
) -> list[Problem]:
    """The first tensor whose size is not that of its layer in the base, if any.

    Args:
        tensors: the adapter's, in one spelling of their names.
    """
    sides = SIDES.get(adapter.config.type, {})
    settings = adapter.config.settings
    if settings.get("use_bdlora") or settings.get("target_parameters"):
        return []
    for name, info in tensors.items():
        stem = name.removesuffix(".weight")
        module, _, part = stem.rpartition(".")
        if part not in sides:
            continue
        live = names.holder(module)
        found = "" if live is None else names.stored(f"{live}.weight")
        shape = base.tensors[found].shape if found else ()
        if not shape or len(shape) > 2:
            continue
        mine, side = sides[part]
        last = module.rsplit(".", 1)[-1]
        if last in CONV1D.get(str(base.config.get("model_type")), ()):
            shape = shape[::-1]
        wanted = shape[side] if side < len(shape) else None
        if wanted is None or mine >= len(info.shape) or info.shape[mine] == wanted:
            continue
        what = (
            f"its {part} for {module} is {list(info.shape)}, which does not fit the layer "
            f"{found} of base, {list(base.tensors[found].shape)}"
        )
        return [Problem(where, what, _BASE)]
    return []
