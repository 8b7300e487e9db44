"""Where models run and in which dtype."""

from __future__ import annotations

import torch

from engine.errors import bad
from engine.family.compatibility import Family


def pick_device(device: str) -> torch.device:
    """The torch device named; "auto" is CUDA where there is one. Raises `BadInput`."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise bad("--device", f"{device!r} is not a device", "Use auto, cpu or cuda.") from None
    if chosen.type not in ("cpu", "cuda"):
        raise bad("--device", f"{device!r} is not supported", "Use auto, cpu or cuda.")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise bad("--device", "no CUDA device is available", "Use --device cpu.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        what = f"there are {torch.cuda.device_count()} CUDA devices, numbered from 0"
        raise bad("--device", what, "Use cuda, or one of them as cuda:0.")
    return chosen


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_dtype(name: str | None, device: torch.device, family: Family) -> torch.dtype:
    """The compute dtype: float32 on a CPU, the checkpoint's on a GPU, unless it is named."""
    if name is None:
        name = "float32" if device.type == "cpu" else family.base.dtype
    if name not in DTYPES:
        raise bad("--compute-dtype", f"{name!r} is not a dtype", f"Use {', '.join(DTYPES)}.")
    return DTYPES[name]
