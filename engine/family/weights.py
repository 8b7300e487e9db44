"""Tensors of a checkpoint as they are stored, mapped from the file, so that a merge reads each byte
once and holds none.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors import safe_open

from engine.errors import BadInput
from engine.family.checkpoint import Checkpoint, is_computed
from engine.family.headers import FLOAT_DTYPES, TensorInfo, not_finite


class Reader:
    """Tensors of one checkpoint by the names that the base checkpoint uses.

    Files are mapped and stay open until `close` (or the end of a `with`). Not for use by two
    threads at once.

    Args:
        check: look whether all numbers are finite when they are first read. Whoever has taken the
            model's fingerprint knows.
    """

    def __init__(self, checkpoint: Checkpoint, check: bool = False) -> None:
        self.checkpoint = checkpoint
        self._open: dict[Path, Any] = {}
        self._check = check
        self._checked: set[tuple[Path, str, int | None, int | None]] = set()

    @property
    def lora(self) -> bool:
        """Whether it gives deltas instead of tensors."""
        return self.checkpoint.kind == "lora"

    @property
    def names(self) -> tuple[str, ...]:
        """Float tensors, sorted; for a LoRA adapter the base tensors that it changes.

        A stored output projection that is the input embedding (tied) is left out: it counts once.
        """
        if self.checkpoint.adapter is not None:
            return tuple(sorted(self.checkpoint.adapter.pairs))
        tied = self.checkpoint.tied_heads
        return tuple(sorted(name for name in self.checkpoint.weights if name not in tied))

    def shape(self, name: str) -> torch.Size:
        """Shape of a tensor, or of an adapter's delta for it."""
        if self.checkpoint.adapter is not None:
            return torch.Size(self.checkpoint.adapter.pairs[name].shape)
        return torch.Size(self.checkpoint.tensors[name].shape)

    def dtype(self, name: str) -> torch.dtype:
        """Type of a tensor as stored; an adapter's deltas are float32."""
        if self.checkpoint.adapter is not None:
            return torch.float32
        return getattr(torch, FLOAT_DTYPES[self.checkpoint.tensors[name].dtype])

    def _file(self, path: Path) -> Any:
        if path not in self._open:
            self._open[path] = safe_open(str(path), framework="pt", device="cpu")
        return self._open[path]

    def _read(self, name: str, rows: slice | None = None) -> torch.Tensor:
        info = self.checkpoint.tensors[name]
        file = self._file(info.file)
        found = file.get_tensor(info.name) if rows is None else file.get_slice(info.name)[rows]
        return self._sound(info, rows, found)

    def stored(self, info: TensorInfo) -> torch.Tensor:
        """A tensor of an adapter's own, as stored, on the CPU; not to be written to."""
        return self._sound(info, None, self._file(info.file).get_tensor(info.name))

    def _sound(self, info: TensorInfo, rows: slice | None, found: torch.Tensor) -> torch.Tensor:
        key = (info.file, info.name, rows and rows.start, rows and rows.stop)
        if self._check and key not in self._checked and found.is_floating_point():
            if found.numel() and not is_computed(info):
                extremes = torch.stack(torch.aminmax(found))  # both are NaN where one number is
                if not extremes.isfinite().all():
                    raise BadInput(not_finite(info.file, info.name))
            self._checked.add(key)
        return found

    def read(self, name: str, rows: slice | None = None) -> torch.Tensor:
        """A tensor as stored, on the CPU; `rows` takes a range of its first dimension.

        The memory belongs to the mapped file: do not write to it.

        Raises:
            BadInput: it is checked and holds a number that is not finite.
        """
        if self.checkpoint.adapter is not None:
            raise ValueError(
                f"{self.checkpoint.name} is an adapter: it has no tensor of the base's"
            )
        return self._read(name, rows)

    def delta(self, name: str, rows: slice | None = None) -> torch.Tensor | None:
        """What a LoRA adapter adds to the base tensor `name`: float32 s·B·A in the base's shape.

        None if the adapter leaves that tensor alone. `rows` takes a range of its first
        dimension.
        """
        if self.checkpoint.adapter is None:
            raise ValueError(f"{self.checkpoint.name} is not an adapter")
        pair = self.checkpoint.adapter.pairs.get(name)
        if pair is None:
            return None
        # float64: what a merge then does to a delta (PCB ranks it) magnifies its last digit
        down, up = self.stored(pair.a).double(), self.stored(pair.b).double()
        kept = slice(None) if rows is None else rows
        product = (up @ down[:, kept]).T if pair.transposed else up[kept] @ down
        return (product * pair.scale).float().contiguous()

    def product(self, name: str) -> tuple[torch.Tensor, torch.Tensor] | None:
        """A LoRA adapter's delta as float64 (up [rows, rank], down [rank, columns]), whose product
        it is; None if the adapter leaves that tensor alone."""
        if self.checkpoint.adapter is None:
            raise ValueError(f"{self.checkpoint.name} is not an adapter")
        pair = self.checkpoint.adapter.pairs.get(name)
        if pair is None:
            return None
        down, up = self.stored(pair.a).double(), self.stored(pair.b).double() * pair.scale
        return (down.T, up.T) if pair.transposed else (up, down)

    def close(self) -> None:
        self._open.clear()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
