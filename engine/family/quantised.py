"""Weights that are not the numbers they stand for: quantised checkpoints, in every form.

    said        config.json: quantization_config, compression_config, at the top or in a part's
                own configuration
    beside      files that quantisers leave: quantize_config.json, quant_config.json …
    seen        integers where a model has numbers (packed rows), scales and codes by their names,
                eight-bit and four-bit floats

A packed integer merges into nonsense, and its scale alone merges half of a weight; so a model in
any of these forms is refused. Integers that are no weights stay: positions, masks, counters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.errors import Problem
from engine.family.headers import TensorInfo

_FIX = "Use the model from before quantisation."

_SAID = ("quantization_config", "compression_config", "quantization")
# what AutoGPTQ, AutoAWQ, ModelOpt, HQQ and optimum-quanto write beside weights
_BESIDE = {
    "quantize_config.json": "GPTQ",
    "quant_config.json": "AWQ",
    "hf_quant_config.json": "ModelOpt",
    "qmodel.pt": "HQQ",
    "quanto_qmap.json": "quanto",
    "quantization_map.json": "quanto",
}
# ends of names that only quantised layers have
_NAMES = re.compile(
    r"(?:^|\.)(?:qweight|qzeros|g_idx|SCB|W_q|weight_packed|weight_zero_point|weight_scale_inv"
    r"|quant_map|absmax|nested_absmax|nested_quant_map|quant_state\..+"
    r"|weight\.(?:absmax|quant_map|nested_\w+|quant_state\..+|_data|_scale|_shift)"
    r"|\w*proj_(?:blocks|scales))$"
)
# integers by design: positions, types, tables of a router
_TABLES = re.compile(r"(?:^|\.)(?:position_ids|token_type_ids|relative_position_index|tid2eid)$")
# other names of tables in wide integers; what is large and none of them is packed rows
_INDEX = re.compile(r"ids$|idx|index|indices|mask|position|count|bias|table|bucket|hash")
_ROWS = 8
_INTEGERS = ("I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64")


def said_quantised(config: Mapping[str, Any], file: Path) -> list[Problem]:
    """The problem of a configuration, or of a part's within it, that says how it was quantised."""
    for where, kind in _said(config, ""):
        what = f"{where}: the weights are quantised ({kind}); task vectors need float weights"
        return [Problem(str(file), what, _FIX)]
    return []


def _said(config: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for key in _SAID:
        value = config.get(key)
        if value:
            kind = value.get("quant_method") if isinstance(value, Mapping) else value
            yield f"{above}{key}", str(kind or "no method named")[:40]
    for key, value in config.items():
        if isinstance(value, Mapping) and key not in _SAID:
            yield from _said(value, f"{above}{key}.")


def left_by_quantiser(path: Path) -> list[Problem]:
    """The problem of a directory that holds the settings of a quantiser."""
    for name, kind in _BESIDE.items():
        if (path / name).is_file():
            what = f"{name} says that the weights are quantised ({kind})"
            fix = f"{_FIX} If these weights are plain floats, remove that file."
            return [Problem(str(path), what, fix)]
    return []


def packed(tensors: Mapping[str, TensorInfo]) -> list[Problem]:
    """The problem of a file that holds packed weights, by its first such tensor."""
    for info in tensors.values():
        what = _packed(info)
        if what is not None:
            return [Problem(str(info.file), f"tensor {info.name} is {what}", _FIX)]
    return []


def _packed(info: TensorInfo) -> str | None:
    """What a tensor is, where it belongs to a quantised layer; None for any other."""
    if info.dtype.startswith("F") and not info.is_float:
        return f"{info.dtype}, a quantised type"
    if _NAMES.search(info.name):
        return f"part of a quantised layer ({info.dtype} {list(info.shape)})"
    weight = info.name.rsplit(".", 1)[-1].startswith("weight")
    if info.dtype not in _INTEGERS or not info.shape or _TABLES.search(info.name):
        return None
    if len(info.shape) > 1 or weight:
        # masks and positions broadcast over a batch: [1, n], [1, 1, n, n]
        narrow = info.dtype not in ("I64", "U64") and 1 not in info.shape
        large = min(info.shape) >= _ROWS and not _INDEX.search(info.name)
        if weight or narrow or large:
            return f"{info.dtype} {list(info.shape)}, packed integers: a quantised weight"
    return None
