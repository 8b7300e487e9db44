"""The module that runs a checkpoint, and where in it each stored tensor lies.

transformers loads; placing the stored tensors (`engine.family.placement`) must give what it loaded.
Where it does not, or where a stored tensor is not used at all, the model is refused by name,
because a merge would otherwise write into the wrong place or leave a part of an expert out.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

import torch

from engine.errors import bad, first_line
from engine.family.checkpoint import Checkpoint, is_computed
from engine.family.placed import (
    UNFIT,
    misfits_of,
    placement_of,
    read_config,
    text_class,
    unused_misfit,
)
from engine.family.placement import Group, Placement, state_of
from engine.family.products import quicken
from engine.family.unmerged import tower_names
from engine.family.untied import keep_apart
from engine.family.weights import Reader

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


def load_module(
    checkpoint: Checkpoint,
    device: str | torch.device,
    dtype: torch.dtype,
    *,
    mapped: bool = True,
) -> tuple[PreTrainedModel, Placement]:
    """The transformers model of a full checkpoint, and where in it each stored tensor lies.

    The model is in eval mode, without gradients, from local files only, without code of the
    checkpoint's own. A multimodal checkpoint is loaded whole; given token ids alone it runs as a
    language model.

    Args:
        mapped: find the places of the stored tensors; a model that only runs needs none and gets an
            empty placement.

    Raises:
        BadInput: transformers does not know the model, tensors that it needs are not in the
            checkpoint, a stored tensor is not used, or is not found again in the model.
    """
    if checkpoint.kind != "full":
        raise ValueError(
            f"{checkpoint.name}: a {checkpoint.kind} checkpoint is not a model on its own"
        )
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    where = f"{checkpoint.name} ({checkpoint.path})"
    auto = _auto_class(checkpoint, where)

    def load(attention: str) -> Any:
        return auto.from_pretrained(
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
        raise bad(where, what, "Use a model class that transformers includes.") from error
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        what = (
            f"tensor {missing[0]} (of {len(missing)}), needed by {type(model).__name__}, is missing"
        )
        raise bad(where, what, "Download the checkpoint again.")
    unused = sorted(
        each for each in report.get("unexpected_keys") or () if _counts(each, checkpoint)
    )
    if unused:
        raise bad(where, *unused_misfit(unused, model))
    model.eval().requires_grad_(False)
    keep_apart(model, checkpoint)
    placement = place_stored(model, checkpoint) if mapped else Placement({}, ())
    quicken(model)
    return model.to(device), placement


def _auto_class(checkpoint: Checkpoint, where: str) -> Any:
    try:
        return text_class(read_config(checkpoint))
    except _LOADING_ERRORS as error:
        what = f"transformers cannot load it ({first_line(error)})"
        raise bad(where, what, "Use a model class that transformers includes.") from error


def _counts(key: str, checkpoint: Checkpoint) -> bool:
    """Whether a key that transformers did not use holds numbers that the model would need.

    Args:
        key: as transformers renamed it, which is nearly always as it is stored.
    """
    info = checkpoint.tensors.get(key) or checkpoint.tensors.get(key.partition(".")[2])
    if info is None:
        return not tower_names(checkpoint.config, (*checkpoint.tensors, key)) & {key}
    counted = info.is_float and not is_computed(info)
    return counted and info.name not in checkpoint.towers | checkpoint.ignored


def place_stored(module: PreTrainedModel, checkpoint: Checkpoint) -> Placement:
    """The place of every stored float tensor in a module that was loaded from the checkpoint.

    A stored output projection that the module ties to the embedding is left out, and so is what the
    class ignores. First and last rows of every tensor are compared with the module's, and converted
    groups in full, so that a permuted weight does not pass for the stored one.

    Raises:
        BadInput: a stored tensor is not used, placing the stored tensors gives something else than
            transformers loaded, or the module has a parameter that is not stored.
    """
    found = placement_of(module, checkpoint)
    misfits = misfits_of(found, module, checkpoint)
    if misfits:
        raise bad(f"{checkpoint.name} ({checkpoint.path})", *misfits[0])
    state = state_of(module)
    kind = type(module).__name__
    buffers = {name for name, _ in module.named_buffers()}
    fixed = _blanked(found, module, state)
    with Reader(checkpoint) as reader:
        for name, part in found.parts.items():
            if part.target in buffers and not part.cuts:
                fixed |= _fixed(reader, name, state[part.target])
        same = {name: _same(reader, name, p.of(state[p.target])) for name, p in found.parts.items()}
        same |= {g.names[0]: _same_group(reader, g, module, state) for g in found.groups}
    for name in (name for name, equal in same.items() if not equal and name not in fixed):
        where = f"{checkpoint.name} ({checkpoint.path})"
        if name in checkpoint.tied_heads:
            what = f"config.json ties {name} to {checkpoint.embedding}, but they differ"
            raise bad(where, what, "Set tie_word_embeddings to the value used in training.")
        raise bad(where, f"tensor {name} changes when {kind} is loaded", UNFIT)
    tied = checkpoint.tied_heads
    parts = {name: part for name, part in found.parts.items() if name not in tied}
    return replace(found, parts=parts, fixed=fixed)


def _fixed(
    reader: Reader, name: str, there: torch.Tensor
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The numbers of a buffer that its class sets on loading: all to one, whatever is stored.

    ZAYA sets the router bias of its last choice to −1. A buffer that differs in another way is not
    the stored one.
    """
    stored = reader.read(name).to(there.device, there.dtype)
    if stored.shape != there.shape:
        return {}
    other = stored != there
    values = there[other]
    if not len(values) or len(values) == there.numel() or bool((values != values[0]).any()):
        return {}
    return {name: (other, values.clone())}


def _blanked(
    found: Placement, module: PreTrainedModel, state: dict[str, torch.Tensor]
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The padding token's row of the embedding where the class makes it zero on loading.

    Youtu's `_init_weights` does so past the mark that keeps loaded weights as they are; a class is
    asked by having it initialise an embedding with that mark.
    """
    embedding: Any = module.get_input_embeddings()
    row = getattr(embedding, "padding_idx", None)
    if row is None or bool(embedding.weight[row].any()):
        return {}
    probe: Any = torch.nn.Embedding(2, 1, padding_idx=0)
    probe.weight.data.fill_(1.0)
    probe.weight._is_hf_initialized = True
    module._init_weights(probe)
    if bool(probe.weight[0].any()):
        return {}
    where, values = torch.tensor([row]), torch.zeros_like(embedding.weight[row : row + 1])
    names = (name for name, part in found.parts.items() if state[part.target] is embedding.weight)
    return {name: (where, values) for name in names}


def _same(reader: Reader, name: str, there: torch.Tensor) -> bool:
    """Whether shape, first and last row of a stored tensor are those in the module."""
    info = reader.checkpoint.tensors[name]
    if info.shape != tuple(there.shape):
        return False
    if not info.count:
        return True
    there = there.detach()
    if len(info.shape) == 0:
        return torch.equal(reader.read(name).to(there.dtype), there.cpu())
    for row in (0, info.shape[0] - 1):
        stored = reader.read(name, slice(row, row + 1)).to(there.dtype)
        if not torch.equal(stored, there[row : row + 1].cpu()):
            return False
    return True


def _same_group(
    reader: Reader, group: Group, module: PreTrainedModel, state: dict[str, torch.Tensor]
) -> bool:
    """Whether converting the stored tensors of a group gives what the module has."""
    there = state[group.key]
    stored = {name: reader.read(name).to(there.device, there.dtype) for name in group.names}
    made = group.convert(stored, module)
    return all(
        key in state and torch.equal(each.to(state[key].dtype), state[key].detach())
        for key, each in made.items()
    )
