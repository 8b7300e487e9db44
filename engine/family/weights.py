"""Tensors of a checkpoint, and the module that runs it.

`Reader` gives tensors as they are stored, mapped from the file, so that a merge reads each byte
once and holds none. `load_module` gives the transformers model, and `parameter_names` says which of
its parameters each stored tensor is. transformers 5 may rename, fuse or permute weights while it
loads them; where a stored tensor is not found again as it is, the model is refused by name, because
a merge would otherwise write into the wrong place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

import torch
from safetensors import safe_open

from engine.errors import bad
from engine.family.checkpoint import Checkpoint
from engine.family.headers import FLOAT_DTYPES
from engine.family.text import first_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel


_LOADING_ERRORS = (
    ValueError,
    KeyError,
    OSError,
    ImportError,
    RuntimeError,
    TypeError,
    AttributeError,
)
_SUPPORTED = "Use a model whose class in transformers keeps the checkpoint's tensors as they are."


class Reader:
    """Tensors of one checkpoint by the names that the base checkpoint uses.

    Files are mapped and stay open until `close` (or the end of a `with`). Not for use by two
    threads at once.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._open: dict[Path, Any] = {}

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
        return file.get_tensor(info.name) if rows is None else file.get_slice(info.name)[rows]

    def read(self, name: str, rows: slice | None = None) -> torch.Tensor:
        """A tensor as stored, on the CPU; `rows` takes a range of its first dimension.

        The memory belongs to the mapped file: do not write to it.
        """
        if self.checkpoint.adapter is not None:
            raise ValueError(f"{self.checkpoint.name} is an adapter: it has deltas, not tensors")
        return self._read(name, rows)

    def delta(self, name: str, rows: slice | None = None) -> torch.Tensor | None:
        """What a LoRA adapter adds to the base tensor `name`: float32 s·B·A in the base's shape.

        None where the adapter leaves that tensor alone. `rows` takes a range of its first
        dimension.
        """
        if self.checkpoint.adapter is None:
            raise ValueError(f"{self.checkpoint.name} is not an adapter")
        pair = self.checkpoint.adapter.pairs.get(name)
        if pair is None:
            return None
        # float64: what a merge then does to a delta (PCB ranks it) magnifies its last digit
        down, up = self._read(pair.a.name).double(), self._read(pair.b.name).double()
        kept = slice(None) if rows is None else rows
        product = (up @ down[:, kept]).T if pair.transposed else up[kept] @ down
        return (product * pair.scale).float().contiguous()

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


def load_module(
    checkpoint: Checkpoint,
    device: str | torch.device,
    dtype: torch.dtype,
    *,
    mapped: bool = True,
) -> tuple[PreTrainedModel, dict[str, str]]:
    """The transformers model of a full checkpoint, and which parameter each stored tensor is.

    The model is in eval mode, without gradients, from local files only, without code of the
    checkpoint's own.

    Args:
        mapped: find the parameters of the stored tensors; a model that only runs needs no such map
            and gets an empty one, so it may be of a class that changes its weights while loading.

    Returns:
        The model, and stored tensor -> the name in `named_parameters()`, see `parameter_names`.

    Raises:
        BadInput: transformers does not know the model, tensors that it needs are not in the
            checkpoint, or a stored tensor is not found again in the model.
    """
    if checkpoint.kind != "full":
        raise ValueError(
            f"{checkpoint.name}: a {checkpoint.kind} checkpoint is not a model by itself"
        )
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    where = f"{checkpoint.name} ({checkpoint.path})"

    def load(attention: str) -> Any:
        return AutoModelForCausalLM.from_pretrained(
            checkpoint.path,
            dtype=dtype,
            attn_implementation=attention,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )

    try:
        try:
            model, report = load("sdpa")
        except (
            ValueError
        ) as error:  # a few classes have no sdpa; theirs is then the plain attention
            if "sdpa" not in str(error) and "scaled_dot_product" not in str(error):
                raise
            model, report = load("eager")
    except _LOADING_ERRORS as error:
        what = f"transformers cannot load it ({first_line(error)})"
        raise bad(where, what, "Use a class that transformers has itself.") from error
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        what = (
            f"tensor {missing[0]} (of {len(missing)}) that {type(model).__name__} needs is missing"
        )
        raise bad(where, what, "Download the checkpoint again.")
    model.eval().requires_grad_(False)
    places = parameter_names(model, checkpoint) if mapped else {}
    return model.to(device), places


def parameter_names(model: torch.nn.Module, checkpoint: Checkpoint) -> dict[str, str]:
    """Stored float tensor -> the module's name of that parameter in `named_parameters()`.

    A stored output projection that the module ties to the embedding is left out. First and last
    rows of every tensor are compared with the module's, so that a permuted or fused weight does not
    pass for the stored one.

    Raises:
        BadInput: a stored tensor is not in the module as it is, or the module has a parameter that
            is not stored.
    """
    where = f"{checkpoint.name} ({checkpoint.path})"
    kind = type(model).__name__
    parameters = dict(model.named_parameters(remove_duplicate=False))
    first = {id(parameter): name for name, parameter in model.named_parameters()}
    buffers = dict(model.named_buffers())
    prefix = str(getattr(model, "base_model_prefix", ""))
    tied = checkpoint.tied_heads
    places: dict[str, str] = {}
    claimed: dict[int, str] = {}
    with Reader(checkpoint) as reader:
        for name in (*reader.names, *tied):
            own = _own_name(name, parameters, prefix)
            if own is None:
                if name in buffers:
                    continue
                what = f"tensor {name} is not a parameter of {kind} as transformers loads it"
                raise bad(where, what, _SUPPORTED)
            parameter = parameters[own]
            if not _same(reader, name, parameter):
                what = f"tensor {name} is changed while {kind} is loaded"
                raise bad(where, what, _SUPPORTED)
            if name in tied:
                if id(parameter) in claimed:
                    continue
                what = f"config.json ties {name} to {checkpoint.embedding}, but they differ"
                raise bad(where, what, "Set tie_word_embeddings to what was trained.")
            if id(parameter) in claimed:
                what = f"{name} and {claimed[id(parameter)]} are one parameter of {kind}"
                raise bad(where, what, "Set tie_word_embeddings to what was trained.")
            claimed[id(parameter)] = name
            places[name] = first[id(parameter)]
    for key, name in first.items():
        if key not in claimed:
            what = f"parameter {name} of {kind} is stored under no name that leads to it"
            raise bad(where, what, _SUPPORTED)
    return places


def _own_name(name: str, parameters: Mapping[str, torch.Tensor], prefix: str) -> str | None:
    """The module's name for a stored tensor: the same, or with the model prefix on or off."""
    if name in parameters:
        return name
    if prefix:
        if f"{prefix}.{name}" in parameters:
            return f"{prefix}.{name}"
        if name.startswith(f"{prefix}.") and name[len(prefix) + 1 :] in parameters:
            return name[len(prefix) + 1 :]
    return None


def _same(reader: Reader, name: str, parameter: torch.Tensor) -> bool:
    """Whether shape, first and last row of a stored tensor are those of the parameter."""
    info = reader.checkpoint.tensors[name]
    if info.shape != tuple(parameter.shape):
        return False
    if not info.count:
        return True
    if len(info.shape) == 0:
        return torch.equal(reader.read(name).to(parameter.dtype), parameter.detach().cpu())
    for row in (0, info.shape[0] - 1):
        stored = reader.read(name, slice(row, row + 1)).to(parameter.dtype)
        if not torch.equal(stored, parameter.detach()[row : row + 1].cpu()):
            return False
    return True
